// Pieces of what commands print: nothing in them can break a line or move the
// cursor of a terminal.
#ifndef WAGGLE_CLI_TEXT_H_
#define WAGGLE_CLI_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"

namespace waggle {

// With dots in place of control characters; "-" if it is empty.
std::string Printable(std::string_view text);

// "2025-01-31T08:00:00.123", in UTC.
std::string TimeText(absl::Time time);
std::string TimeText(const google::protobuf::Timestamp& time);
// "123us", "1.2ms", "1.5s", "5m3s".
std::string ShortDuration(absl::Duration duration);
// "1.5 GiB".
std::string BytesText(uint64_t bytes);

// proto3 JSON on one line with its end: names in lowerCamelCase, 64-bit numbers
// as strings, bytes in base64. INTERNAL for text that is not UTF-8 and times
// out of range, which a gateway does not send.
absl::StatusOr<std::string> JsonLine(const google::protobuf::Message& message);

}  // namespace waggle

#endif  // WAGGLE_CLI_TEXT_H_
