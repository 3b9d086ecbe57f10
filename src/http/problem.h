// The errors of the contract (api/errors.h) as application/problem+json.
#ifndef WAGGLE_HTTP_PROBLEM_H_
#define WAGGLE_HTTP_PROBLEM_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "http/http_message.h"

namespace waggle {

// The status follows from the code; "reason" and what else the ErrorInfo says
// are members beside RFC 9457's, and "errors" names the fields that are wrong,
// as `name_of` calls them. RetryInfo becomes Retry-After, in whole seconds.
HttpResponse ProblemOf(
    const absl::Status& error,
    absl::FunctionRef<std::string(std::string_view field)> name_of);

}  // namespace waggle

#endif  // WAGGLE_HTTP_PROBLEM_H_
