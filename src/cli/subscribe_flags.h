// From what a person writes on a command line to a SubscribeRequest.
#ifndef WAGGLE_CLI_SUBSCRIBE_FLAGS_H_
#define WAGGLE_CLI_SUBSCRIBE_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "waggle/v1/event_service.pb.h"

namespace CLI {
class App;
}

namespace waggle {

// As they were written; the lists mirror waggle.v1.EventFilter and together
// make one filter.
struct SubscribeFlags {
  // Enum values by their short names, in any case: "sync_completed".
  std::vector<std::string> types;
  std::vector<std::string> type_names;
  std::vector<std::string> connectors;
  std::vector<std::string> origins;
  std::vector<std::string> integrations;
  std::vector<std::string> categories;
  std::vector<std::string> models;
  std::vector<std::string> sync_types;
  std::vector<std::string> connector_statuses;
  std::vector<std::string> endpoints;
  // Further filters, each an EventFilter in proto3 JSON.
  std::vector<std::string> filters;
  // "earliest", "latest", an RFC 3339 time, a duration ago, or a cursor.
  std::string from = "latest";
  bool until_caught_up = false;
  bool payload = false;
  // 0: the gateway's own choice.
  uint32_t max_batch = 0;
  absl::Duration heartbeat = absl::Seconds(10);
};

// Describes the flags of filters to the parser. `flags` must outlive it.
void AddFilterFlags(CLI::App& command, SubscribeFlags& flags);

// INVALID_ARGUMENT names the flag and what it takes. `now` is what durations
// ago count from.
absl::StatusOr<v1::SubscribeRequest> ToRequest(const SubscribeFlags& flags,
                                               absl::Time now);

}  // namespace waggle

#endif  // WAGGLE_CLI_SUBSCRIBE_FLAGS_H_
