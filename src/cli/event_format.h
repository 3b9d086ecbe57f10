// Events as lines of text.
#ifndef WAGGLE_CLI_EVENT_FORMAT_H_
#define WAGGLE_CLI_EVENT_FORMAT_H_

#include <string>

#include "waggle/v1/event.pb.h"

namespace waggle {

// proto3 JSON on one line: names in lowerCamelCase, the sequence as a string,
// the payload in base64.
std::string ToJsonLine(const v1::Event& event);

// The heading of the table, as wide as its lines.
std::string TableHeading();

// What an operator looks at first, in columns. Nothing in the event can break
// the line or move the cursor of a terminal.
std::string ToTableLine(const v1::Event& event);

}  // namespace waggle

#endif  // WAGGLE_CLI_EVENT_FORMAT_H_
