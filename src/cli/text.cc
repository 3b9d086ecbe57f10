#include "cli/text.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "event/proto_time.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {

// Control characters of ASCII become dots. Those of Unicode's second block
// begin with the byte 0xc2 and a byte below 0xa0.
std::string Printable(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    const bool second_block = byte == 0xc2 && i + 1 < out.size() &&
                              static_cast<unsigned char>(out[i + 1]) < 0xa0;
    if (second_block) {
      out[i] = '.';
      out[++i] = '.';
    } else if (byte < 0x20 || byte == 0x7f) {
      out[i] = '.';
    }
  }
  return out.empty() ? "-" : out;
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3S", time, absl::UTCTimeZone());
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return TimeText(ToTime(time));
}

std::string ShortDuration(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 1e-3) return absl::StrFormat("%.0fus", seconds * 1e6);
  if (seconds < 1) return absl::StrFormat("%.1fms", seconds * 1e3);
  if (seconds < 60) return absl::StrFormat("%.1fs", seconds);
  return absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

std::string BytesText(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB",
                                                 "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  if (unit == 0) return absl::StrCat(bytes, " B");
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

absl::StatusOr<std::string> JsonLine(const google::protobuf::Message& message) {
  std::string line;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &line);
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("cannot be written as JSON: ",
                                            status.message().ToString()));
  }
  line.push_back('\n');
  return line;
}

}  // namespace waggle
