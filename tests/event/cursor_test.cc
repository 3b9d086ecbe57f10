#include "event/cursor.h"

#include <cctype>
#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"

namespace waggle {
namespace {

Cursor MakeCursor(uint64_t store_seed, uint64_t sequence) {
  Cursor cursor;
  for (uint8_t& byte : cursor.store) {
    store_seed = store_seed * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<uint8_t>(store_seed >> 56);
  }
  cursor.sequence = Sequence(sequence);
  return cursor;
}

bool IsRefused(const std::string& text) {
  const auto decoded = Cursor::Decode(text);
  return absl::IsInvalidArgument(decoded.status());
}

RC_GTEST_PROP(CursorProperty, ComesBackFromItsText,
              (uint64_t store_seed, uint64_t bits)) {
  const int shift = *rc::gen::inRange(1, 64);
  const Cursor cursor = MakeCursor(store_seed, bits >> shift);
  const auto decoded = Cursor::Decode(cursor.Encode());
  RC_ASSERT(decoded.ok());
  RC_ASSERT(*decoded == cursor);
}

RC_GTEST_PROP(CursorProperty, TextIsSafeInUrlsAndShort,
              (uint64_t store_seed, uint64_t bits)) {
  const std::string text = MakeCursor(store_seed, bits >> 1).Encode();
  RC_ASSERT(text.size() <= 64u);
  for (const char c : text) {
    RC_ASSERT(std::isalnum(static_cast<unsigned char>(c)) || c == '-' ||
              c == '_');
  }
}

RC_GTEST_PROP(CursorProperty, AnyFlippedBitIsRefused,
              (uint64_t store_seed, uint64_t bits)) {
  const std::string text = MakeCursor(store_seed, bits >> 1).Encode();
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      RC_ASSERT(IsRefused(flipped));
    }
  }
}

RC_GTEST_PROP(CursorProperty, AnyOtherLengthIsRefused, (uint64_t store_seed)) {
  const std::string text = MakeCursor(store_seed, 7).Encode();
  for (size_t size = 0; size < text.size(); ++size) {
    RC_ASSERT(IsRefused(text.substr(0, size)));
    RC_ASSERT(IsRefused(text.substr(text.size() - size)));
  }
  RC_ASSERT(IsRefused(text + text));
  for (const char* more : {"A", "AA", "=", "==", " ", "\n", "\t"}) {
    RC_ASSERT(IsRefused(text + more));
    RC_ASSERT(IsRefused(more + text));
  }
  RC_ASSERT(IsRefused(text + std::string(1, '\0')));
}

RC_GTEST_PROP(CursorProperty, ArbitraryTextIsRefused, (std::string text)) {
  RC_ASSERT(IsRefused(text));
}

TEST(Cursor, WhiteSpaceWithinIsRefused) {
  std::string text = MakeCursor(1, 2).Encode();
  text.insert(10, 1, ' ');
  EXPECT_TRUE(IsRefused(text));
}

TEST(Cursor, TheOtherBase64AlphabetIsRefused) {
  // Until one holds a character in which the alphabets differ.
  std::string text;
  for (uint64_t seed = 0; text.find_first_of("-_") == std::string::npos;
       ++seed) {
    text = MakeCursor(seed, 3).Encode();
  }
  ASSERT_TRUE(Cursor::Decode(text).ok());
  for (char& c : text) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  EXPECT_TRUE(IsRefused(text));
}

TEST(Cursor, OtherSpellingsOfTheSameBytesAreRefused) {
  const std::string text = MakeCursor(5, 6).Encode();
  // 29 bytes leave two spare bits in the last character.
  int spellings = 0;
  for (int c = 0; c < 256; ++c) {
    std::string other = text;
    other.back() = static_cast<char>(c);
    spellings += Cursor::Decode(other).ok() ? 1 : 0;
  }
  EXPECT_EQ(spellings, 1);
}

// CRC-32 (IEEE 802.3), the slow way, to make cursors that only the version or
// the sequence speaks against.
uint32_t Crc(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string Seal(std::string bytes) {
  const uint32_t crc = Crc(bytes);
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(crc >> shift));
  }
  return absl::WebSafeBase64Escape(bytes);
}

TEST(Cursor, TextIsWhatTheHeaderDocuments) {
  Cursor cursor;
  cursor.store.fill(0xab);
  cursor.sequence = Sequence(0x0102030405060708);
  std::string bytes = "\x01" + std::string(16, '\xab');
  bytes += std::string("\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(cursor.Encode(), Seal(bytes));
}

TEST(Cursor, OtherVersionsAreRefused) {
  const std::string rest = std::string(16, 's') + std::string(8, '\0');
  EXPECT_TRUE(Cursor::Decode(Seal("\x01" + rest)).ok());
  for (int version = 0; version < 256; ++version) {
    if (version == 1) continue;
    EXPECT_TRUE(IsRefused(Seal(static_cast<char>(version) + rest))) << version;
  }
}

TEST(Cursor, SequencesBeyondWhatStoresCountAreRefused) {
  const std::string start = "\x01" + std::string(16, 's');
  EXPECT_TRUE(
      Cursor::Decode(Seal(start + '\x7f' + std::string(7, '\xff'))).ok());
  EXPECT_TRUE(IsRefused(Seal(start + '\x80' + std::string(7, '\0'))));
  EXPECT_TRUE(IsRefused(Seal(start + std::string(8, '\xff'))));
}

}  // namespace
}  // namespace waggle
