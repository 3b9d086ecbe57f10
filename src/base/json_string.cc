#include "base/json_string.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_format.h"

namespace waggle {
namespace {

// The size of the character that `s` begins with, or 0 if it begins with none
// (RFC 3629, section 4).
size_t Utf8Size(std::string_view s) {
  const auto byte = [s](size_t i) {
    return i < s.size() ? static_cast<unsigned char>(s[i]) : 0;
  };
  const auto follows = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const int first = byte(0);
  const int second = byte(1);
  if (first < 0x80) return s.empty() ? 0 : 1;
  if (!follows(1) || first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return 2;
  if (!follows(2)) return 0;
  if (first < 0xf0) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  const bool overlong = first == 0xf0 && second < 0x90;
  const bool beyond = first == 0xf4 && second >= 0x90;
  return overlong || beyond || !follows(3) ? 0 : 4;
}

}  // namespace

bool IsUtf8(std::string_view s) {
  while (!s.empty()) {
    const size_t size = Utf8Size(s);
    if (size == 0) return false;
    s.remove_prefix(size);
  }
  return true;
}

bool IsPlainInJson(char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void AppendJsonString(std::string& out, std::string_view s) {
  out.push_back('"');
  while (!s.empty()) {
    const size_t plain = static_cast<size_t>(
        std::find_if_not(s.begin(), s.end(), IsPlainInJson) - s.begin());
    out.append(s.substr(0, plain));
    s.remove_prefix(plain);
    if (s.empty()) break;
    const auto byte = static_cast<unsigned char>(s.front());
    const size_t size = Utf8Size(s);
    if (size == 0) {
      out.append("\\ufffd");
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      if (size == 1) out.push_back('\\');
      out.append(s.substr(0, size));
    }
    s.remove_prefix(std::max<size_t>(size, 1));
  }
  out.push_back('"');
}

}  // namespace waggle
