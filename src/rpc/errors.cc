#include "rpc/errors.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace waggle::rpc {
namespace {

constexpr absl::Duration kStoreRetry = absl::Seconds(1);
constexpr absl::Duration kRateRetry = absl::Seconds(1);
constexpr absl::Duration kQuotaRetry = absl::Seconds(5);
// Errors travel as metadata, of which clients accept 8 KiB.
constexpr size_t kMaxViolations = 20;

class ErrorBuilder {
 public:
  ErrorBuilder(grpc::StatusCode code, std::string_view reason,
               std::string message)
      : code_(code) {
    status_.set_code(code);
    status_.set_message(std::move(message));
    info_.set_reason(std::string(reason));
    info_.set_domain("waggle.dev");
  }

  ErrorBuilder& Metadata(const std::string& key, std::string value) {
    (*info_.mutable_metadata())[key] = std::move(value);
    return *this;
  }

  template <typename Detail>
  ErrorBuilder& Add(const Detail& detail) {
    details_.emplace_back().PackFrom(detail);
    return *this;
  }

  ErrorBuilder& RetryAfter(absl::Duration delay) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(delay));
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(delay % absl::Seconds(1))));
    return Add(retry);
  }

  grpc::Status Build() {
    status_.add_details()->PackFrom(info_);
    for (const google::protobuf::Any& detail : details_) {
      *status_.add_details() = detail;
    }
    return grpc::Status(code_, status_.message(), status_.SerializeAsString());
  }

 private:
  const grpc::StatusCode code_;
  google::rpc::Status status_;
  google::rpc::ErrorInfo info_;
  std::vector<google::protobuf::Any> details_;
};

}  // namespace

grpc::Status CursorExpired(const StoreId& store, const StoreBounds& bounds) {
  ErrorBuilder error(
      grpc::StatusCode::OUT_OF_RANGE, "CURSOR_EXPIRED",
      "events after this cursor were removed by retention; subscribe after "
      "earliest_cursor to go on with what is left");
  error.Metadata("earliest_cursor",
                 Cursor{store, bounds.trimmed_through}.Encode());
  if (bounds.oldest_stored_at != absl::InfiniteFuture()) {
    error.Metadata("earliest_time",
                   absl::FormatTime(absl::RFC3339_full, bounds.oldest_stored_at,
                                    absl::UTCTimeZone()));
  }
  return error.Build();
}

grpc::Status CursorStoreMismatch() {
  return ErrorBuilder(
             grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_STORE_MISMATCH",
             "this cursor comes from another store, or from a state of this "
             "one that was lost; start at EARLIEST or LATEST instead")
      .Build();
}

grpc::Status CursorMalformed() {
  return ErrorBuilder(grpc::StatusCode::INVALID_ARGUMENT, "CURSOR_MALFORMED",
                      "not a cursor; use one that a response gave, unchanged")
      .Build();
}

grpc::Status PageTokenMalformed() {
  return ErrorBuilder(
             grpc::StatusCode::INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED",
             "not a page token of a request with these filters; use the "
             "next_page_token of the page before with the same filters")
      .Build();
}

grpc::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad_request;
  const size_t count = std::min(violations.size(), kMaxViolations);
  for (size_t i = 0; i < count; ++i) {
    auto* proto = bad_request.add_field_violations();
    proto->set_field(violations[i].field);
    proto->set_description(violations[i].description);
  }
  const FieldViolation& first = violations.front();
  return ErrorBuilder(grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT",
                      absl::StrCat(first.field, ": ", first.description))
      .Add(bad_request)
      .Build();
}

grpc::Status NotARequest(std::string_view request) {
  return InvalidFields(
      {{"", absl::StrCat("the request is not a ", AsAbsl(request))}});
}

grpc::Status EventNotFound() {
  return ErrorBuilder(
             grpc::StatusCode::NOT_FOUND, "EVENT_NOT_FOUND",
             "no event with this id; it may have been removed by retention")
      .Build();
}

grpc::Status DeliveryNotFound() {
  return ErrorBuilder(
             grpc::StatusCode::NOT_FOUND, "DELIVERY_NOT_FOUND",
             "no delivery with this id; it may have been removed by retention")
      .Build();
}

grpc::Status CredentialsMissing() {
  return ErrorBuilder(
             grpc::StatusCode::UNAUTHENTICATED, "CREDENTIALS_MISSING",
             "this gateway asks who is calling: send a bearer token in the "
             "metadata \"authorization\", or show a client certificate")
      .Build();
}

grpc::Status CredentialsInvalid(absl::string_view message) {
  return ErrorBuilder(grpc::StatusCode::UNAUTHENTICATED, "CREDENTIALS_INVALID",
                      std::string(message))
      .Build();
}

grpc::Status PrincipalUnknown(absl::string_view message) {
  return ErrorBuilder(grpc::StatusCode::PERMISSION_DENIED, "PRINCIPAL_UNKNOWN",
                      std::string(message))
      .Build();
}

grpc::Status RightMissing(const std::string& principal,
                          const MissingRight& missing) {
  ErrorBuilder error(grpc::StatusCode::PERMISSION_DENIED, "RIGHT_MISSING",
                     missing.description);
  error.Metadata("principal", principal).Metadata("right", missing.right);
  if (!missing.field.empty()) error.Metadata("field", missing.field);
  return error.Build();
}

grpc::Status MethodNotAllowed() {
  return ErrorBuilder(grpc::StatusCode::PERMISSION_DENIED, "METHOD_NOT_ALLOWED",
                      "nobody may call this method")
      .Build();
}

grpc::Status TooManyRequests(std::string_view what, int limit) {
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(what));
  violation->set_description(
      absl::StrCat("at most ", limit, " calls a second of one ", AsAbsl(what)));
  return ErrorBuilder(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS",
                      violation->description())
      .Add(failure)
      .RetryAfter(kRateRetry)
      .Build();
}

grpc::Status TooMany(std::string_view what, int limit) {
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(what));
  violation->set_description(
      absl::StrCat("at most ", limit, " ", AsAbsl(what), " at once"));
  return ErrorBuilder(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS",
                      violation->description())
      .Add(failure)
      .RetryAfter(kQuotaRetry)
      .Build();
}

grpc::Status StreamRotated(std::string_view why, absl::Duration retry_after) {
  return ErrorBuilder(grpc::StatusCode::UNAVAILABLE, "STREAM_ROTATED",
                      absl::StrCat(AsAbsl(why), "; reconnect with your cursor"))
      .RetryAfter(retry_after)
      .Build();
}

grpc::Status StoreUnavailable(const absl::Status& status) {
  return ErrorBuilder(
             grpc::StatusCode::UNAVAILABLE, "STORE_UNAVAILABLE",
             absl::StrCat("the store cannot be read now: ", status.message()))
      .RetryAfter(kStoreRetry)
      .Build();
}

}  // namespace waggle::rpc
