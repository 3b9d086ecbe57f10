#include "event/cursor.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "zlib.h"

namespace waggle {
namespace {

constexpr char kVersion = 1;
constexpr size_t kStoreAt = 1;
constexpr size_t kSequenceAt = kStoreAt + sizeof(StoreId);
constexpr size_t kCrcAt = kSequenceAt + 8;
constexpr size_t kSize = kCrcAt + 4;

template <typename T>
void AppendBigEndian(std::string& out, T value) {
  for (int shift = 8 * (sizeof(T) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

template <typename T>
T ReadBigEndian(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8) | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
            static_cast<uInt>(bytes.size())));
}

}  // namespace

std::string Cursor::Encode() const {
  std::string bytes;
  bytes.reserve(kSize);
  bytes.push_back(kVersion);
  bytes.append(reinterpret_cast<const char*>(store.data()), store.size());
  AppendBigEndian(bytes, sequence.value());
  AppendBigEndian(bytes, Crc(bytes));
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<Cursor> Cursor::Decode(std::string_view text) {
  const absl::Status malformed =
      absl::InvalidArgumentError("not a cursor of this service");
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(AsAbsl(text), &bytes) ||
      bytes.size() != kSize || bytes[0] != kVersion) {
    return malformed;
  }
  const std::string_view view = bytes;
  if (ReadBigEndian<uint32_t>(view.substr(kCrcAt)) !=
      Crc(view.substr(0, kCrcAt))) {
    return malformed;
  }
  Cursor cursor;
  std::copy_n(bytes.begin() + kStoreAt, cursor.store.size(),
              cursor.store.begin());
  cursor.sequence = Sequence(ReadBigEndian<uint64_t>(view.substr(kSequenceAt)));
  // Base64 has several spellings of the same bytes (padding, spare bits, white
  // space); only ours is a cursor. Stores count in signed 64 bits.
  if (cursor.sequence.value() > INT64_MAX || cursor.Encode() != text) {
    return malformed;
  }
  return cursor;
}

}  // namespace waggle
