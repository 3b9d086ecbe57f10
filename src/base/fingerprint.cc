#include "base/fingerprint.h"

#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "base/sha256.h"

namespace waggle {

std::string Fingerprint(const Secret& secret) {
  constexpr std::string_view kDomain("waggle key fingerprint\0", 23);
  const Sha256Digest digest = Sha256({kDomain, secret.Reveal()});
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), 6));
}

}  // namespace waggle
