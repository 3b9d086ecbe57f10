#include "event/delivery_filter.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "event/proto_time.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace waggle {
namespace {

constexpr int kMaxValues = 100;
constexpr size_t kMaxValueSize = 512;

using Strings = google::protobuf::RepeatedPtrField<std::string>;

void CheckTime(const google::protobuf::Timestamp& time, absl::string_view field,
               std::vector<FieldViolation>& violations) {
  if (IsValid(time)) return;
  violations.push_back(
      {std::string(field), "not a time between the years 1 and 9999"});
}

// Whether there are few enough of them to look further.
bool CheckCount(int count, absl::string_view field,
                std::vector<FieldViolation>& violations) {
  if (count <= kMaxValues) return true;
  violations.push_back({absl::StrCat("filter.", field),
                        absl::StrCat("more than ", kMaxValues, " values")});
  return false;
}

void CheckStrings(const Strings& values, absl::string_view field,
                  std::vector<FieldViolation>& violations) {
  if (!CheckCount(values.size(), field, violations)) return;
  for (int i = 0; i < values.size(); ++i) {
    const std::string path = absl::StrCat("filter.", field, "[", i, "]");
    if (values[i].empty()) {
      violations.push_back(
          {path, "must not be empty: leave the field out to match any"});
    } else if (values[i].size() > kMaxValueSize) {
      violations.push_back(
          {path, absl::StrCat("longer than ", kMaxValueSize, " bytes")});
    }
  }
}

}  // namespace

std::vector<FieldViolation> Validate(const v1::DeliveryFilter& filter) {
  std::vector<FieldViolation> violations;
  if (filter.has_since()) CheckTime(filter.since(), "filter.since", violations);
  if (filter.has_until()) CheckTime(filter.until(), "filter.until", violations);
  CheckStrings(filter.endpoints(), "endpoints", violations);
  if (CheckCount(filter.outcomes_size(), "outcomes", violations)) {
    for (int i = 0; i < filter.outcomes_size(); ++i) {
      const int outcome = filter.outcomes(i);
      if (outcome == v1::DELIVERY_OUTCOME_UNSPECIFIED) {
        violations.push_back({absl::StrCat("filter.outcomes[", i, "]"),
                              "UNSPECIFIED selects nothing: name a value"});
      } else if (!v1::DeliveryOutcome_IsValid(outcome)) {
        violations.push_back(
            {absl::StrCat("filter.outcomes[", i, "]"),
             absl::StrCat("this gateway knows no value with number ",
                          outcome)});
      }
    }
  }
  CheckStrings(filter.connector_ids(), "connector_ids", violations);
  CheckStrings(filter.type_names(), "type_names", violations);
  CheckStrings(filter.event_ids(), "event_ids", violations);
  return violations;
}

std::string KeyOf(const v1::DeliveryFilter& filter) {
  v1::DeliveryFilter canonical = filter;
  for (Strings* values :
       {canonical.mutable_endpoints(), canonical.mutable_connector_ids(),
        canonical.mutable_type_names(), canonical.mutable_event_ids()}) {
    std::sort(values->begin(), values->end());
  }
  std::sort(canonical.mutable_outcomes()->begin(),
            canonical.mutable_outcomes()->end());
  return canonical.SerializeAsString();
}

DeliveryMatcher::DeliveryMatcher(const v1::DeliveryFilter& filter)
    : after_id_(filter.after_id()),
      outcomes_(filter.outcomes().begin(), filter.outcomes().end()),
      endpoints_(filter.endpoints().begin(), filter.endpoints().end()),
      connector_ids_(filter.connector_ids().begin(),
                     filter.connector_ids().end()),
      type_names_(filter.type_names().begin(), filter.type_names().end()),
      event_ids_(filter.event_ids().begin(), filter.event_ids().end()) {
  if (filter.has_since()) since_ = ToTime(filter.since());
  if (filter.has_until()) until_ = ToTime(filter.until());
}

bool DeliveryMatcher::Matches(const v1::Delivery& delivery) const {
  const auto allows = [](const auto& values, const auto& value) {
    return values.empty() || values.contains(value);
  };
  if (delivery.id() <= after_id_ ||
      !allows(outcomes_, static_cast<int>(delivery.outcome())) ||
      !allows(endpoints_, delivery.endpoint()) ||
      !allows(connector_ids_, delivery.connector_id()) ||
      !allows(type_names_, delivery.type_name()) ||
      !allows(event_ids_, delivery.event_id())) {
    return false;
  }
  const absl::Time received_at = ToTime(delivery.received_at());
  return received_at >= since_ && received_at < until_;
}

}  // namespace waggle
