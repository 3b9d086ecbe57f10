// What it means to match, written down as plainly as event_service.proto says
// it: the judge of the filter that is fast.
#ifndef WAGGLE_TESTS_FAKES_NAIVE_FILTER_H_
#define WAGGLE_TESTS_FAKES_NAIVE_FILTER_H_

#include <algorithm>
#include <string>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

using FilterProtos = google::protobuf::RepeatedPtrField<v1::EventFilter>;

namespace naive {

template <typename Values, typename Value>
bool Contains(const Values& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

template <typename Values, typename Value>
bool Allows(const Values& allowed, const Value& value) {
  return allowed.empty() || Contains(allowed, value);
}

template <typename Values, typename Others>
bool AllowsAny(const Values& allowed, const Others& values) {
  if (allowed.empty()) return true;
  for (const auto& value : values) {
    if (Contains(allowed, value)) return true;
  }
  return false;
}

inline bool Matches(const v1::EventFilter& filter, const v1::Event& event) {
  std::vector<std::string> models;
  for (const v1::ModelChange& change : event.data_modified().changes()) {
    models.push_back(change.model());
  }
  const v1::Connector& connector = event.connector();
  return Allows(filter.types(), event.type()) &&
         Allows(filter.type_names(), event.type_name()) &&
         Allows(filter.connector_ids(), connector.id()) &&
         Allows(filter.origin_ids(), connector.origin_id()) &&
         Allows(filter.integration_slugs(), connector.integration_slug()) &&
         AllowsAny(filter.categories(), connector.categories()) &&
         AllowsAny(filter.models(), models) &&
         Allows(filter.sync_types(), event.sync().type()) &&
         Allows(filter.connector_statuses(), connector.status()) &&
         Allows(filter.endpoints(), event.endpoint());
}

inline bool Matches(const FilterProtos& filters, const v1::Event& event) {
  if (filters.empty()) return true;
  return std::any_of(
      filters.begin(), filters.end(),
      [&](const v1::EventFilter& filter) { return Matches(filter, event); });
}

}  // namespace naive

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_NAIVE_FILTER_H_
