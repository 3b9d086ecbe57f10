// OperatorApi over JSON, for doors that speak no gRPC: a method by the path
// that gRPC gives it, the request and the response in proto3's JSON.
//
//   const JsonMethod* method = FindJsonMethod(path);
//   if (method == nullptr) ...                      // there is none
//   absl::StatusOr<std::string> json = method->call(api, body, caller);
#ifndef WAGGLE_OPS_JSON_API_H_
#define WAGGLE_OPS_JSON_API_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ops/operator_api.h"

namespace waggle {

struct JsonMethod {
  // Such as "/waggle.v1.DeliveryService/ListDeliveries".
  std::string_view path;
  // Errors are OperatorApi's; besides, INVALID_ARGUMENT if `json` is not this
  // method's request: an unknown field is refused. Bytes come in base64, 64-bit
  // numbers as strings. Blocks on the store.
  absl::StatusOr<std::string> (*call)(OperatorApi& api, std::string_view json,
                                      const Caller& caller);
};

// All methods of OperatorApi.
absl::Span<const JsonMethod> JsonMethods();

// Null if there is none.
const JsonMethod* FindJsonMethod(std::string_view path);

}  // namespace waggle

#endif  // WAGGLE_OPS_JSON_API_H_
