#include "bindbee/json.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

// simdjson's buffers take up to 15 bytes for each of the text's and are never
// given back: a thread keeps those for ordinary webhooks only.
constexpr size_t kMaxKeptBytes = 16 << 10;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// From here on an integer may not fit into 64 bits.
constexpr size_t kLongIntegerDigits = 19;

constexpr size_t kUnicodeEscapeSize = 6;  // \uXXXX

// The code unit of the \uXXXX that `text` starts with.
std::optional<uint32_t> CodeUnit(std::string_view text) {
  if (text.size() < kUnicodeEscapeSize || text[0] != '\\' || text[1] != 'u') {
    return std::nullopt;
  }
  uint32_t unit = 0;
  for (const char c : text.substr(2, 4)) {
    if (!absl::ascii_isxdigit(c)) return std::nullopt;
    const char digit = absl::ascii_tolower(c);
    unit = unit << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return unit;
}

bool IsHighSurrogate(std::optional<uint32_t> unit) {
  return unit && *unit >= 0xd800 && *unit < 0xdc00;
}

bool IsLowSurrogate(std::optional<uint32_t> unit) {
  return unit && *unit >= 0xdc00 && *unit < 0xe000;
}

// Copies the escape that `text` starts with; returns how much of `text` it was.
size_t AppendEscape(std::string_view text, std::string& out) {
  const std::optional<uint32_t> unit = CodeUnit(text);
  if (IsHighSurrogate(unit) &&
      IsLowSurrogate(CodeUnit(text.substr(kUnicodeEscapeSize)))) {
    out.append(text.substr(0, 2 * kUnicodeEscapeSize));
    return 2 * kUnicodeEscapeSize;
  }
  if (IsHighSurrogate(unit) || IsLowSurrogate(unit)) {
    out.append("\\ufffd");
    return kUnicodeEscapeSize;
  }
  const std::string_view escape = text.substr(0, 2);
  out.append(escape);
  return escape.size();
}

// Copies the number that `text` starts with, as floating point if it is a long
// integer; returns how much of `text` it was.
size_t AppendNumber(std::string_view text, std::string& out) {
  const size_t size =
      std::min(text.find_first_not_of("+-.0123456789Ee"), text.size());
  const std::string_view number = text.substr(0, size);
  out.append(number);
  const std::string_view digits = number.substr(number[0] == '-' ? 1 : 0);
  if (digits.size() >= kLongIntegerDigits &&
      digits.find_first_not_of("0123456789") == std::string_view::npos) {
    out.append(".0");
  }
  return size;
}

// Rewrites what simdjson refuses although it is valid JSON: integers beyond 64
// bits and lone surrogates. What is not JSON stays so.
std::string Repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  bool in_string = false;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (in_string && c == '\\') {
      at += AppendEscape(text.substr(at), out);
    } else if (!in_string && (c == '-' || absl::ascii_isdigit(c))) {
      at += AppendNumber(text.substr(at), out);
    } else {
      if (c == '"') in_string = !in_string;
      out.push_back(c);
      ++at;
    }
  }
  return out;
}

simdjson::dom::parser& ThreadParser() {
  static thread_local simdjson::dom::parser parser;
  return parser;
}

}  // namespace

Json::Json(std::string_view text) {
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    text.remove_prefix(kByteOrderMark.size());
  }
  if (text.size() > kMaxKeptBytes) {
    own_parser_ = std::make_unique<simdjson::dom::parser>();
  }
  simdjson::dom::parser& parser = own_parser_ ? *own_parser_ : ThreadParser();

  JsonElement document;
  auto error = text.empty()
                   ? simdjson::EMPTY
                   : parser.parse(text.data(), text.size()).get(document);
  if (error == simdjson::NUMBER_ERROR || error == simdjson::STRING_ERROR) {
    const std::string repaired = Repaired(text);
    error = parser.parse(repaired).get(document);
  }
  if (error != simdjson::SUCCESS) {
    problem_ = absl::StrCat("the body cannot be read as JSON: ",
                            simdjson::error_message(error));
    return;
  }
  JsonObject object;
  if (document.get(object) != simdjson::SUCCESS) {
    problem_ = "the body is not a JSON object";
    return;
  }
  root_ = object;
}

std::optional<JsonElement> Member(const JsonObject& object,
                                  std::string_view name) {
  std::optional<JsonElement> found;
  for (auto member = object.begin(); member != object.end(); ++member) {
    if (member.key_equals(name)) found = member.value();
  }
  if (found && found->is_null()) found.reset();
  return found;
}

namespace {

template <typename T>
std::optional<T> TypedMember(const JsonObject& object, std::string_view name) {
  const std::optional<JsonElement> member = Member(object, name);
  T value;
  if (!member || member->get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string_view> Text(const JsonObject& object,
                                     std::string_view name) {
  return TypedMember<std::string_view>(object, name);
}

std::optional<JsonObject> Object(const JsonObject& object,
                                 std::string_view name) {
  return TypedMember<JsonObject>(object, name);
}

std::optional<JsonArray> Array(const JsonObject& object,
                               std::string_view name) {
  return TypedMember<JsonArray>(object, name);
}

}  // namespace waggle
