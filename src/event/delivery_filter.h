// A DeliveryFilter: whether it is valid, what stands for it, and which
// deliveries match it.
#ifndef WAGGLE_EVENT_DELIVERY_FILTER_H_
#define WAGGLE_EVENT_DELIVERY_FILTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "event/filter.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// Everything that is wrong with the filter, which is the request's field
// "filter"; empty if it is valid.
std::vector<FieldViolation> Validate(const v1::DeliveryFilter& filter);

// Equal for filters that were written alike up to the order of values.
std::string KeyOf(const v1::DeliveryFilter& filter);

// Immutable, so threads share it freely.
class DeliveryMatcher {
 public:
  // Of a valid filter.
  explicit DeliveryMatcher(const v1::DeliveryFilter& filter);

  bool Matches(const v1::Delivery& delivery) const;

 private:
  absl::Time since_ = absl::InfinitePast();
  absl::Time until_ = absl::InfiniteFuture();
  uint64_t after_id_;
  absl::flat_hash_set<int> outcomes_;
  // Empty allows everything.
  absl::flat_hash_set<std::string> endpoints_;
  absl::flat_hash_set<std::string> connector_ids_;
  absl::flat_hash_set<std::string> type_names_;
  absl::flat_hash_set<std::string> event_ids_;
};

}  // namespace waggle

#endif  // WAGGLE_EVENT_DELIVERY_FILTER_H_
