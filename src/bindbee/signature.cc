#include "bindbee/signature.h"

#include <array>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "openssl/crypto.h"
#include "openssl/evp.h"
#include "openssl/hmac.h"

namespace waggle {

std::string Sign(std::string_view key, std::string_view body) {
  std::array<uint8_t, 32> mac;
  // Fails only for want of memory, which ends the process everywhere else too.
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const uint8_t*>(body.data()), body.size(),
           mac.data(), nullptr) == nullptr) {
    std::abort();
  }
  // Abseil leaves the padding out: 32 bytes are 43 characters and one "=".
  return absl::WebSafeBase64Escape(
             {reinterpret_cast<const char*>(mac.data()), mac.size()}) +
         '=';
}

// Signatures are compared as text, not as bytes: every other spelling of the
// right bytes is then simply another text, without a lenient decoder to tame.
std::optional<size_t> Verify(absl::Span<const Secret> keys,
                             absl::Span<const std::string_view> signatures,
                             std::string_view body) {
  // What is compared if there is nothing to compare; '!' is in no signature.
  static constexpr std::string_view kNoSignature =
      "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!";
  const bool comparable =
      signatures.size() == 1 && signatures[0].size() == kNoSignature.size();
  const std::string_view claimed = comparable ? signatures[0] : kNoSignature;

  std::optional<size_t> signer;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string expected = Sign(keys[i].Reveal(), body);
    if (CRYPTO_memcmp(expected.data(), claimed.data(), claimed.size()) == 0) {
      signer = i;
    }
  }
  return signer;
}

}  // namespace waggle
