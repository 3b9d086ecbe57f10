#include "cli/event_format.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

constexpr char kColumns[] = "%10s  %-23s  %-23s  %-12s  %-16s  %-16s  %s\n";

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

std::string Details(const v1::Event& event) {
  switch (event.data_case()) {
    case v1::Event::kSyncStatus:
      return absl::StrCat(event.sync_status().display_status_name(),
                          event.has_sync() ? " " : "", event.sync().name());
    case v1::Event::kSyncFailure:
      return event.sync_failure().message();
    case v1::Event::kEmployeesChanged:
      return absl::StrCat("employees ",
                          event.employees_changed().employee_ids_size());
    case v1::Event::kDataModified: {
      std::string text = absl::StrJoin(
          event.data_modified().changes(), ", ",
          [](std::string* out, const v1::ModelChange& change) {
            absl::StrAppend(out, change.model(), " ", change.record_ids_size());
          });
      if (const int n = event.data_modified().record_ids_size(); n > 0) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", "records ", n);
      }
      return text;
    }
    case v1::Event::kUnrecognized:
      return event.unrecognized().problem().empty()
                 ? "unrecognized"
                 : absl::StrCat("unrecognized: ",
                                event.unrecognized().problem());
    case v1::Event::DATA_NOT_SET:
      return "";
  }
  return "";
}

std::string ReceivedAt(const v1::Event& event) {
  const absl::Time time = absl::FromUnixSeconds(event.received_at().seconds()) +
                          absl::Nanoseconds(event.received_at().nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3S", time, absl::UTCTimeZone());
}

}  // namespace

std::string ToJsonLine(const v1::Event& event) {
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(event, &line);
  // Fails for text that is not UTF-8 and times out of range, which the gateway
  // does not send.
  if (!status.ok()) {
    line = absl::StrFormat("{\"id\":\"%s\",\"sequence\":\"%d\"}",
                           Printable(event.id()), event.sequence());
  }
  line.push_back('\n');
  return line;
}

std::string TableHeading() {
  return absl::StrFormat(kColumns, "SEQUENCE", "RECEIVED (UTC)", "TYPE",
                         "ENDPOINT", "ORIGIN", "CONNECTOR", "DETAILS");
}

std::string ToTableLine(const v1::Event& event) {
  return absl::StrFormat(
      kColumns, absl::StrCat(event.sequence()), ReceivedAt(event),
      Printable(event.type_name()), Printable(event.endpoint()),
      Printable(event.connector().origin_id()),
      Printable(event.connector().display_name()), Printable(Details(event)));
}

}  // namespace waggle
