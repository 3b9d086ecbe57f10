// A position in one store's order, in the form that subscribers keep: opaque,
// URL-safe text that names the store and refuses to be anything else.
//
// The text is base64url without padding (RFC 4648) of 29 bytes: a version byte
// (1), the store's 16 bytes, the sequence in 8 bytes big-endian, and the CRC-32
// of what comes before, big-endian. The CRC finds mangled cursors; it does not
// authenticate them, and need not: a cursor grants nothing.
#ifndef WAGGLE_EVENT_CURSOR_H_
#define WAGGLE_EVENT_CURSOR_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "event/sequence.h"

namespace waggle {

// Made at random with a store's data and never changed; dies with the data.
using StoreId = std::array<uint8_t, 16>;

struct Cursor {
  StoreId store{};
  // Everything up to and including this is behind the cursor.
  Sequence sequence;

  friend bool operator==(const Cursor&, const Cursor&) = default;

  std::string Encode() const;

  // INVALID_ARGUMENT for every text that Encode() cannot have made.
  static absl::StatusOr<Cursor> Decode(std::string_view text);
};

}  // namespace waggle

#endif  // WAGGLE_EVENT_CURSOR_H_
