#include "api/errors.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "event/proto_time.h"
#include "google/rpc/error_details.pb.h"

namespace waggle {
namespace {

constexpr absl::Duration kStoreRetry = absl::Seconds(1);
constexpr absl::Duration kRateRetry = absl::Seconds(1);
constexpr absl::Duration kQuotaRetry = absl::Seconds(5);
// Errors travel as metadata, of which clients accept 8 KiB.
constexpr size_t kMaxViolations = 20;

class ErrorBuilder {
 public:
  ErrorBuilder(absl::StatusCode code, std::string_view reason,
               absl::string_view message)
      : status_(code, message) {
    info_.set_reason(std::string(reason));
    info_.set_domain("waggle.dev");
  }

  ErrorBuilder& Metadata(const std::string& key, std::string value) {
    (*info_.mutable_metadata())[key] = std::move(value);
    return *this;
  }

  template <typename Detail>
  ErrorBuilder& Add(const Detail& detail) {
    status_.SetPayload(
        absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name()),
        absl::Cord(detail.SerializeAsString()));
    return *this;
  }

  ErrorBuilder& RetryAfter(absl::Duration delay) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = ToProto(delay);
    return Add(retry);
  }

  absl::Status Build() {
    Add(info_);
    return status_;
  }

 private:
  absl::Status status_;
  google::rpc::ErrorInfo info_;
};

}  // namespace

absl::Status CursorExpired(const StoreId& store, const StoreBounds& bounds) {
  ErrorBuilder error(
      absl::StatusCode::kOutOfRange, "CURSOR_EXPIRED",
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

absl::Status CursorStoreMismatch() {
  return ErrorBuilder(
             absl::StatusCode::kFailedPrecondition, "CURSOR_STORE_MISMATCH",
             "this cursor comes from another store, or from a state of this "
             "one that was lost; start at EARLIEST or LATEST instead")
      .Build();
}

absl::Status CursorMalformed() {
  return ErrorBuilder(absl::StatusCode::kInvalidArgument, "CURSOR_MALFORMED",
                      "not a cursor; use one that a response gave, unchanged")
      .Build();
}

absl::Status PageTokenMalformed() {
  return ErrorBuilder(
             absl::StatusCode::kInvalidArgument, "PAGE_TOKEN_MALFORMED",
             "not a page token of a request with these filters; use the "
             "next_page_token of the page before with the same filters")
      .Build();
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad_request;
  const size_t count = std::min(violations.size(), kMaxViolations);
  for (size_t i = 0; i < count; ++i) {
    auto* proto = bad_request.add_field_violations();
    proto->set_field(violations[i].field);
    proto->set_description(violations[i].description);
  }
  const FieldViolation& first = violations.front();
  return ErrorBuilder(absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT",
                      absl::StrCat(first.field, ": ", first.description))
      .Add(bad_request)
      .Build();
}

absl::Status NotARequest(std::string_view request) {
  return InvalidFields(
      {{"", absl::StrCat("the request is not a ", AsAbsl(request))}});
}

absl::Status EventNotFound() {
  return ErrorBuilder(
             absl::StatusCode::kNotFound, "EVENT_NOT_FOUND",
             "no event with this id; it may have been removed by retention")
      .Build();
}

absl::Status DeliveryNotFound() {
  return ErrorBuilder(
             absl::StatusCode::kNotFound, "DELIVERY_NOT_FOUND",
             "no delivery with this id; it may have been removed by retention")
      .Build();
}

absl::Status CredentialsMissing() {
  return ErrorBuilder(
             absl::StatusCode::kUnauthenticated, "CREDENTIALS_MISSING",
             "this gateway asks who is calling: send a bearer token in the "
             "metadata \"authorization\", or show a client certificate")
      .Build();
}

absl::Status CredentialsInvalid(absl::string_view message) {
  return ErrorBuilder(absl::StatusCode::kUnauthenticated, "CREDENTIALS_INVALID",
                      message)
      .Build();
}

absl::Status PrincipalUnknown(absl::string_view message) {
  return ErrorBuilder(absl::StatusCode::kPermissionDenied, "PRINCIPAL_UNKNOWN",
                      message)
      .Build();
}

absl::Status RightMissing(const std::string& principal,
                          const MissingRight& missing) {
  ErrorBuilder error(absl::StatusCode::kPermissionDenied, "RIGHT_MISSING",
                     missing.description);
  error.Metadata("principal", principal).Metadata("right", missing.right);
  if (!missing.field.empty()) error.Metadata("field", missing.field);
  return error.Build();
}

absl::Status MethodNotAllowed() {
  return ErrorBuilder(absl::StatusCode::kPermissionDenied, "METHOD_NOT_ALLOWED",
                      "nobody may call this method")
      .Build();
}

absl::Status TooManyRequests(std::string_view what, int limit) {
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(what));
  violation->set_description(
      absl::StrCat("at most ", limit, " calls a second of one ", AsAbsl(what)));
  return ErrorBuilder(absl::StatusCode::kResourceExhausted, "TOO_MANY_REQUESTS",
                      violation->description())
      .Add(failure)
      .RetryAfter(kRateRetry)
      .Build();
}

absl::Status TooMany(std::string_view what, int limit) {
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(what));
  violation->set_description(
      absl::StrCat("at most ", limit, " ", AsAbsl(what), " at once"));
  return ErrorBuilder(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
                      violation->description())
      .Add(failure)
      .RetryAfter(kQuotaRetry)
      .Build();
}

absl::Status StreamRotated(std::string_view why, absl::Duration retry_after) {
  return ErrorBuilder(absl::StatusCode::kUnavailable, "STREAM_ROTATED",
                      absl::StrCat(AsAbsl(why), "; reconnect with your cursor"))
      .RetryAfter(retry_after)
      .Build();
}

absl::Status StoreUnavailable(const absl::Status& status) {
  return ErrorBuilder(
             absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE",
             absl::StrCat("the store cannot be read now: ", status.message()))
      .RetryAfter(kStoreRetry)
      .Build();
}

std::string ReasonOf(const absl::Status& error) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(error);
  return info.has_value() ? info->reason() : "";
}

}  // namespace waggle
