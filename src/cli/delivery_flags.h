// From what a person writes on a command line to a DeliveryFilter.
#ifndef WAGGLE_CLI_DELIVERY_FLAGS_H_
#define WAGGLE_CLI_DELIVERY_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "waggle/v1/delivery.pb.h"

namespace CLI {
class App;
}

namespace waggle {

// As they were written; empty is absent.
struct DeliveryFlags {
  // RFC 3339 times, or durations ago.
  std::string since;
  std::string until;
  std::vector<std::string> endpoints;
  // Enum values by their short names, in any case: "too_large".
  std::vector<std::string> outcomes;
  std::vector<std::string> connectors;
  std::vector<std::string> type_names;
  std::vector<std::string> events;
};

// Describes the flags to the parser. `flags` must outlive it.
void AddDeliveryFlags(CLI::App& command, DeliveryFlags& flags);

// INVALID_ARGUMENT names the flag and what it takes. `now` is what durations
// ago count from.
absl::StatusOr<v1::DeliveryFilter> ToFilter(const DeliveryFlags& flags,
                                            absl::Time now);

}  // namespace waggle

#endif  // WAGGLE_CLI_DELIVERY_FLAGS_H_
