#include "cli/signing_key.h"

#include "bindbee/demo_key.h"
#include "security/secret_file.h"

namespace waggle {

absl::StatusOr<Secret> LoadSigningKey(const std::string& path) {
  if (path.empty()) return Secret(std::string(kDemoKey));
  return ReadSecretFile(path);
}

}  // namespace waggle
