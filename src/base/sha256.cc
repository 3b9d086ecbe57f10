#include "base/sha256.h"

#include "openssl/sha.h"

// EVP's one-shot interface looks the algorithm up by name on every call, which
// costs as much as hashing a webhook; the low-level one does not.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace waggle {

Sha256Digest Sha256(std::initializer_list<std::string_view> pieces) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (std::string_view piece : pieces) {
    SHA256_Update(&context, piece.data(), piece.size());
  }
  Sha256Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace waggle
