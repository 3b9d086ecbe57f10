// The errors of the contract, whatever door they are told at: each an
// absl::Status with payloads, by their type's URL: a google.rpc.ErrorInfo of
// the domain "waggle.dev" and what more the contract lists (AIP-193). The one
// place where they are made; the table is in
// proto/waggle/v1/event_service.proto.
#ifndef WAGGLE_API_ERRORS_H_
#define WAGGLE_API_ERRORS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "event/cursor.h"
#include "event/filter.h"
#include "security/rights.h"
#include "store/event_store.h"

namespace waggle {

// OUT_OF_RANGE, CURSOR_EXPIRED. `bounds` says what is left.
absl::Status CursorExpired(const StoreId& store, const StoreBounds& bounds);

// FAILED_PRECONDITION, CURSOR_STORE_MISMATCH.
absl::Status CursorStoreMismatch();

// INVALID_ARGUMENT, CURSOR_MALFORMED.
absl::Status CursorMalformed();

// INVALID_ARGUMENT, PAGE_TOKEN_MALFORMED.
absl::Status PageTokenMalformed();

// INVALID_ARGUMENT, INVALID_ARGUMENT, with a BadRequest of the first of them.
// At least one violation.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// The same for bytes that are no message of the type `request`.
absl::Status NotARequest(std::string_view request);

// NOT_FOUND, EVENT_NOT_FOUND.
absl::Status EventNotFound();

// NOT_FOUND, DELIVERY_NOT_FOUND.
absl::Status DeliveryNotFound();

// UNAUTHENTICATED, CREDENTIALS_MISSING.
absl::Status CredentialsMissing();

// UNAUTHENTICATED, CREDENTIALS_INVALID. `message` is for people.
absl::Status CredentialsInvalid(absl::string_view message);

// PERMISSION_DENIED, PRINCIPAL_UNKNOWN. `message` is for people.
absl::Status PrincipalUnknown(absl::string_view message);

// PERMISSION_DENIED, RIGHT_MISSING.
absl::Status RightMissing(const std::string& principal,
                          const MissingRight& missing);

// PERMISSION_DENIED, METHOD_NOT_ALLOWED.
absl::Status MethodNotAllowed();

// RESOURCE_EXHAUSTED, TOO_MANY_REQUESTS: more than `limit` calls a second of
// one `what`, "address" or "principal".
absl::Status TooManyRequests(std::string_view what, int limit);

// RESOURCE_EXHAUSTED, TOO_MANY_STREAMS: more than `limit` of `what` at once.
absl::Status TooMany(std::string_view what, int limit);

// UNAVAILABLE, STREAM_ROTATED. `why` is for people.
absl::Status StreamRotated(std::string_view why, absl::Duration retry_after);

// UNAVAILABLE, STORE_UNAVAILABLE: for an error of EventStore that is not about
// the request.
absl::Status StoreUnavailable(const absl::Status& status);

// A payload of an error, if it has one of this type.
template <typename Detail>
std::optional<Detail> DetailOf(const absl::Status& error) {
  const auto payload = error.GetPayload(
      absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name()));
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return detail;
}

// The ErrorInfo's; "" for what was not made here.
std::string ReasonOf(const absl::Status& error);

}  // namespace waggle

#endif  // WAGGLE_API_ERRORS_H_
