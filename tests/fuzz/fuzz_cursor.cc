// Any text is either no cursor, or the very text that the cursor encodes to. So
// that the fuzzer gets past the CRC, the bytes are also tried as a cursor.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "event/cursor.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using waggle::Cursor;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<Cursor> decoded = Cursor::Decode(text);
  FUZZ_CHECK(!decoded.ok() || decoded->Encode() == text);

  Cursor cursor;
  uint64_t sequence = 0;
  if (size < cursor.store.size() + sizeof(sequence)) return 0;
  std::copy_n(data, cursor.store.size(), cursor.store.begin());
  std::memcpy(&sequence, data + cursor.store.size(), sizeof(sequence));
  cursor.sequence = waggle::Sequence(sequence);
  const std::string encoded = cursor.Encode();
  FUZZ_CHECK(encoded.size() <= 64);
  const absl::StatusOr<Cursor> again = Cursor::Decode(encoded);
  FUZZ_CHECK(again.ok() == (sequence <= INT64_MAX));
  FUZZ_CHECK(!again.ok() || *again == cursor);
  return 0;
}
