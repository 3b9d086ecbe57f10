// The errors of the gRPC contract: each a grpc::Status whose details are a
// google.rpc.Status (AIP-193) with an ErrorInfo of the domain "waggle.dev" and
// what more the contract lists. The one place where they are made; the table is
// in proto/waggle/v1/event_service.proto.
#ifndef WAGGLE_RPC_ERRORS_H_
#define WAGGLE_RPC_ERRORS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "event/cursor.h"
#include "event/filter.h"
#include "grpcpp/support/status.h"
#include "security/rights.h"
#include "store/event_store.h"

namespace waggle::rpc {

// OUT_OF_RANGE, CURSOR_EXPIRED. `bounds` says what is left.
grpc::Status CursorExpired(const StoreId& store, const StoreBounds& bounds);

// FAILED_PRECONDITION, CURSOR_STORE_MISMATCH.
grpc::Status CursorStoreMismatch();

// INVALID_ARGUMENT, CURSOR_MALFORMED.
grpc::Status CursorMalformed();

// INVALID_ARGUMENT, PAGE_TOKEN_MALFORMED.
grpc::Status PageTokenMalformed();

// INVALID_ARGUMENT, INVALID_ARGUMENT, with a BadRequest of the first of them.
// At least one violation.
grpc::Status InvalidFields(const std::vector<FieldViolation>& violations);

// The same for bytes that are no message of the type `request`.
grpc::Status NotARequest(std::string_view request);

// NOT_FOUND, EVENT_NOT_FOUND.
grpc::Status EventNotFound();

// NOT_FOUND, DELIVERY_NOT_FOUND.
grpc::Status DeliveryNotFound();

// UNAUTHENTICATED, CREDENTIALS_MISSING.
grpc::Status CredentialsMissing();

// UNAUTHENTICATED, CREDENTIALS_INVALID. `message` is for people.
grpc::Status CredentialsInvalid(absl::string_view message);

// PERMISSION_DENIED, PRINCIPAL_UNKNOWN. `message` is for people.
grpc::Status PrincipalUnknown(absl::string_view message);

// PERMISSION_DENIED, RIGHT_MISSING.
grpc::Status RightMissing(const std::string& principal,
                          const MissingRight& missing);

// PERMISSION_DENIED, METHOD_NOT_ALLOWED.
grpc::Status MethodNotAllowed();

// RESOURCE_EXHAUSTED, TOO_MANY_REQUESTS: more than `limit` calls a second of
// one `what`, "address" or "principal".
grpc::Status TooManyRequests(std::string_view what, int limit);

// RESOURCE_EXHAUSTED, TOO_MANY_STREAMS: more than `limit` of `what` at once.
grpc::Status TooMany(std::string_view what, int limit);

// UNAVAILABLE, STREAM_ROTATED. `why` is for people.
grpc::Status StreamRotated(std::string_view why, absl::Duration retry_after);

// UNAVAILABLE, STORE_UNAVAILABLE: for an error of EventStore that is not about
// the request.
grpc::Status StoreUnavailable(const absl::Status& status);

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_ERRORS_H_
