// Why a call ended, a stream above all: its status, with what the gateway told
// in its details (the table in proto/waggle/v1/event_service.proto).
#ifndef WAGGLE_CLI_STREAM_END_H_
#define WAGGLE_CLI_STREAM_END_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace waggle {

struct StreamEnd {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  // ErrorInfo, such as "CURSOR_EXPIRED"; empty if the error is not Waggle's.
  std::string reason;
  std::map<std::string, std::string> metadata;
  // RetryInfo.
  std::optional<absl::Duration> retry_delay;
  // BadRequest, as "filters[0].types[1]: what is wrong".
  std::vector<std::string> violations;

  static StreamEnd FromStatus(const grpc::Status& status);
  // UNAVAILABLE, as this side found.
  static StreamEnd Unavailable(std::string message);

  bool ok() const { return code == grpc::StatusCode::OK; }

  // Whether the cursor leads nowhere: only a new start helps, and it passes
  // over events.
  bool IsGap() const;

  // Whether the same request can succeed later.
  bool IsTransient() const;

  // For people, in one line unless there are violations.
  std::string ToString() const;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_STREAM_END_H_
