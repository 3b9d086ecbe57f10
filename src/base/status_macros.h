// WAGGLE_RETURN_IF_ERROR and WAGGLE_ASSIGN_OR_RETURN: hand an error on to the
// caller. Debian's Abseil has no such macros.
#ifndef WAGGLE_BASE_STATUS_MACROS_H_
#define WAGGLE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define WAGGLE_RETURN_IF_ERROR(expr)                                \
  do {                                                              \
    if (absl::Status waggle_status_ = (expr); !waggle_status_.ok()) \
      return waggle_status_;                                        \
  } while (false)

#define WAGGLE_STATUS_CONCAT_INNER_(a, b) a##b
#define WAGGLE_STATUS_CONCAT_(a, b) WAGGLE_STATUS_CONCAT_INNER_(a, b)

#define WAGGLE_ASSIGN_OR_RETURN(lhs, expr) \
  WAGGLE_ASSIGN_OR_RETURN_IMPL_(           \
      WAGGLE_STATUS_CONCAT_(waggle_status_or_, __LINE__), lhs, expr)

#define WAGGLE_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) return std::move(result).status();   \
  lhs = *std::move(result)

#endif  // WAGGLE_BASE_STATUS_MACROS_H_
