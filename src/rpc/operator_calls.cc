#include "rpc/operator_calls.h"

#include <vector>

#include "api/errors.h"

namespace waggle::rpc {

absl::Status OperatorCalls::ErrorOf(const absl::Status& status,
                                    std::string_view method,
                                    const Admission& admission) {
  if (const auto missing = MissingRightOf(status)) {
    return gate_.Refuse(admission, method, *missing);
  }
  const std::vector<FieldViolation> violations = FieldViolationsOf(status);
  if (!violations.empty()) {
    return violations.front().field == "page_token" ? PageTokenMalformed()
                                                    : InvalidFields(violations);
  }
  if (absl::IsNotFound(status)) {
    return method == kGetEventMethod ? EventNotFound() : DeliveryNotFound();
  }
  return StoreUnavailable(status);
}

}  // namespace waggle::rpc
