// The union of a request's EventFilters, compiled: what an event must be like
// to be sent. Immutable, so threads share it freely.
#ifndef WAGGLE_EVENT_FILTER_H_
#define WAGGLE_EVENT_FILTER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event/event_view.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

// A field of a request that breaks the contract: its path, such as
// "filters[0].types[1]", and what to do about it.
struct FieldViolation {
  std::string field;
  std::string description;
};

// What a request's filters may hold.
struct FilterLimits {
  int max_filters = 100;
  // In all of them.
  int max_values = 1000;
};

class Filter {
 public:
  using Protos = google::protobuf::RepeatedPtrField<v1::EventFilter>;

  // Everything that is wrong with the filters; empty if they are valid.
  static std::vector<FieldViolation> Validate(const Protos& filters,
                                              const FilterLimits& limits = {});

  // Of valid filters.
  static std::shared_ptr<const Filter> Compile(const Protos& filters);

  ~Filter();

  bool Matches(const EventView& event) const;

  // True if every event matches, whatever it is: no need to look at it.
  bool matches_all() const { return alternatives_.empty(); }

  // Equal for filters that were written alike up to the order of values; two
  // filters with equal keys match the same events.
  const std::string& key() const { return key_; }

 private:
  struct Alternative;
  Filter();

  std::vector<Alternative> alternatives_;
  std::string key_;
};

}  // namespace waggle

#endif  // WAGGLE_EVENT_FILTER_H_
