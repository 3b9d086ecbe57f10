// The key that send and sign sign with.
#ifndef WAGGLE_CLI_SIGNING_KEY_H_
#define WAGGLE_CLI_SIGNING_KEY_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/secret.h"

namespace waggle {

// From the file, or the demo key if `path` is empty.
absl::StatusOr<Secret> LoadSigningKey(const std::string& path);

}  // namespace waggle

#endif  // WAGGLE_CLI_SIGNING_KEY_H_
