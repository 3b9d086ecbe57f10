// UUIDs as stores keep them: 16 bytes. Only the canonical text of RFC 9562 (36
// characters, lower case) packs, so that what was packed unpacks to the very
// same text.
#ifndef WAGGLE_STORE_UUID_H_
#define WAGGLE_STORE_UUID_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waggle {

using Uuid = std::array<uint8_t, 16>;

namespace uuid_internal {

inline constexpr size_t kTextSize = 36;

constexpr bool IsHyphenAt(size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace uuid_internal

// Nothing if `text` is not the canonical text of a UUID.
inline std::optional<Uuid> PackUuid(std::string_view text) {
  if (text.size() != uuid_internal::kTextSize) return std::nullopt;
  Uuid uuid;
  size_t at = 0;
  for (size_t i = 0; i < uuid_internal::kTextSize; ++i) {
    if (uuid_internal::IsHyphenAt(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int high = uuid_internal::HexValue(text[i]);
    const int low = uuid_internal::HexValue(text[++i]);
    if (high < 0 || low < 0) return std::nullopt;
    uuid[at++] = static_cast<uint8_t>(high << 4 | low);
  }
  return uuid;
}

inline std::string UnpackUuid(const Uuid& uuid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(uuid_internal::kTextSize);
  for (const uint8_t byte : uuid) {
    if (uuid_internal::IsHyphenAt(text.size())) text.push_back('-');
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace waggle

#endif  // WAGGLE_STORE_UUID_H_
