#include "http/problem.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/errors.h"
#include "base/json_string.h"
#include "event/proto_time.h"
#include "google/rpc/error_details.pb.h"

namespace waggle {
namespace {

int StatusOf(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kOutOfRange:
      return 410;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

void AppendMember(std::string& members, std::string_view name,
                  std::string_view value) {
  members.push_back(',');
  AppendJsonString(members, name);
  members.push_back(':');
  AppendJsonString(members, value);
}

}  // namespace

HttpResponse ProblemOf(
    const absl::Status& error,
    absl::FunctionRef<std::string(std::string_view field)> name_of) {
  std::string detail(error.message());
  std::string members;
  if (const auto info = DetailOf<google::rpc::ErrorInfo>(error)) {
    AppendMember(members, "reason", info->reason());
    // In order, so that the same error is the same text.
    const std::map<std::string, std::string> sorted(info->metadata().begin(),
                                                    info->metadata().end());
    for (const auto& [name, value] : sorted) {
      AppendMember(members, name, name == "field" ? name_of(value) : value);
    }
  }
  if (const auto bad = DetailOf<google::rpc::BadRequest>(error)) {
    std::string errors;
    for (const auto& violation : bad->field_violations()) {
      const std::string name = name_of(violation.field());
      if (errors.empty()) {
        detail = absl::StrCat(name, ": ", violation.description());
      }
      errors.append(errors.empty() ? "{\"parameter\":" : ",{\"parameter\":");
      AppendJsonString(errors, name);
      AppendMember(errors, "detail", violation.description());
      errors.push_back('}');
    }
    absl::StrAppend(&members, ",\"errors\":[", errors, "]");
  }
  HttpResponse response = ProblemResponse(StatusOf(error), detail, members);
  if (const auto retry = DetailOf<google::rpc::RetryInfo>(error)) {
    const absl::Duration delay =
        absl::Ceil(ToDuration(retry->retry_delay()), absl::Seconds(1));
    response.headers.emplace_back("Retry-After",
                                  absl::StrCat(absl::ToInt64Seconds(delay)));
  }
  if (response.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  return response;
}

}  // namespace waggle
