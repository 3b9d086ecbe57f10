#include "cli/stream_end.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace waggle {
namespace {

constexpr char kDomain[] = "waggle.dev";

std::string CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "invalid argument";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "not authenticated";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "permission denied";
    case grpc::StatusCode::UNAVAILABLE:
      return "unavailable";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "not a Waggle gateway";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "too much";
    default:
      return absl::StrCat("gRPC status ", static_cast<int>(code));
  }
}

}  // namespace

StreamEnd StreamEnd::FromStatus(const grpc::Status& status) {
  StreamEnd end;
  end.code = status.error_code();
  end.message = status.error_message();
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return end;
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    google::rpc::BadRequest bad_request;
    if (any.UnpackTo(&info) && info.domain() == kDomain) {
      end.reason = info.reason();
      end.metadata = {info.metadata().begin(), info.metadata().end()};
    } else if (any.UnpackTo(&retry)) {
      end.retry_delay = absl::Seconds(retry.retry_delay().seconds()) +
                        absl::Nanoseconds(retry.retry_delay().nanos());
    } else if (any.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) {
        end.violations.push_back(
            absl::StrCat(violation.field(), ": ", violation.description()));
      }
    }
  }
  return end;
}

StreamEnd StreamEnd::Unavailable(std::string message) {
  StreamEnd end;
  end.code = grpc::StatusCode::UNAVAILABLE;
  end.message = std::move(message);
  return end;
}

bool StreamEnd::IsGap() const {
  return reason == "CURSOR_EXPIRED" || reason == "CURSOR_STORE_MISMATCH";
}

bool StreamEnd::IsTransient() const {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::UNIMPLEMENTED:
      return false;
    default:
      // Proxies and broken connections show as any of the others.
      return true;
  }
}

std::string StreamEnd::ToString() const {
  std::string text =
      absl::StrCat(reason.empty() ? CodeName(code) : reason, ": ", message);
  for (const std::string& violation : violations) {
    absl::StrAppend(&text, "\n  ", violation);
  }
  return text;
}

}  // namespace waggle
