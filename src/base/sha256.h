// SHA-256 (FIPS 180-4) of a few pieces, as if they were one string.
#ifndef WAGGLE_BASE_SHA256_H_
#define WAGGLE_BASE_SHA256_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace waggle {

using Sha256Digest = std::array<uint8_t, 32>;

// Pieces are concatenated as they are: separate them yourself where their
// borders matter.
Sha256Digest Sha256(std::initializer_list<std::string_view> pieces);

}  // namespace waggle

#endif  // WAGGLE_BASE_SHA256_H_
