#include "cli/delivery_flags.h"

#include "CLI/App.hpp"
#include "base/status_macros.h"
#include "cli/flag_values.h"

namespace waggle {

void AddDeliveryFlags(CLI::App& command, DeliveryFlags& flags) {
  constexpr char kGroup[] = "Filters";
  const auto add_time = [&](const char* name, std::string& value,
                            const char* description) {
    command.add_option(name, value, description)
        ->type_name("TIME")
        ->group(kGroup);
  };
  const auto add = [&](const char* name, std::vector<std::string>& values,
                       const char* description, const char* type = "TEXT") {
    command.add_option(name, values, description)
        ->type_name(type)
        ->allow_extra_args(false)
        ->group(kGroup);
  };
  add_time("--since", flags.since,
           "Received at or after this: a time such as 2025-01-31T08:00:00Z, or "
           "a duration ago such as 2h");
  add_time("--until", flags.until, "Received before this");
  add("--outcome", flags.outcomes,
      "What became of it: accepted, duplicate, unauthenticated, not_found, "
      "method_not_allowed, too_large, header_too_large, malformed, timeout, "
      "overloaded, unavailable, draining, throttled, handshake_failed or "
      "aborted; repeatable, as those below are",
      "OUTCOME");
  add("--endpoint", flags.endpoints, "The gateway's endpoint");
  add("--connector", flags.connectors, "The connector's id");
  add("--type-name", flags.type_names,
      "The event as Bindbee names it, such as connector_synced");
  add("--event", flags.events, "The event's id");
}

absl::StatusOr<v1::DeliveryFilter> ToFilter(const DeliveryFlags& flags,
                                            absl::Time now) {
  v1::DeliveryFilter filter;
  if (!flags.since.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(const absl::Time since,
                            MomentFromText("--since", flags.since, now));
    WAGGLE_RETURN_IF_ERROR(
        SetTimestamp("--since", since, filter.mutable_since()));
  }
  if (!flags.until.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(const absl::Time until,
                            MomentFromText("--until", flags.until, now));
    WAGGLE_RETURN_IF_ERROR(
        SetTimestamp("--until", until, filter.mutable_until()));
  }
  WAGGLE_RETURN_IF_ERROR(AddEnums("--outcome",
                                  *v1::DeliveryOutcome_descriptor(),
                                  flags.outcomes, filter.mutable_outcomes()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--endpoint", flags.endpoints, filter.mutable_endpoints()));
  WAGGLE_RETURN_IF_ERROR(AddStrings("--connector", flags.connectors,
                                    filter.mutable_connector_ids()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--type-name", flags.type_names, filter.mutable_type_names()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--event", flags.events, filter.mutable_event_ids()));
  return filter;
}

}  // namespace waggle
