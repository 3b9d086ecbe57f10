// Text as a JSON string (RFC 8259), whatever bytes it holds: what is not UTF-8
// becomes U+FFFD, so what is made of it is always valid.
#ifndef WAGGLE_BASE_JSON_STRING_H_
#define WAGGLE_BASE_JSON_STRING_H_

#include <string>
#include <string_view>

namespace waggle {

// Appends it with its quotes.
void AppendJsonString(std::string& out, std::string_view s);

// Whether all of it is UTF-8.
bool IsUtf8(std::string_view s);

// Printable ASCII that needs no escape.
bool IsPlainInJson(char c);

}  // namespace waggle

#endif  // WAGGLE_BASE_JSON_STRING_H_
