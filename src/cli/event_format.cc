#include "cli/event_format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/text.h"
#include "event/event_json.h"

namespace waggle {
namespace {

constexpr char kColumns[] = "%10s  %-23s  %-23s  %-12s  %-16s  %-16s  %s\n";

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

}  // namespace

std::string ToJsonLine(const v1::Event& event) {
  return absl::StrCat(EventJson(event), "\n");
}

std::string TableHeading() {
  return absl::StrFormat(kColumns, "SEQUENCE", "RECEIVED (UTC)", "TYPE",
                         "ENDPOINT", "ORIGIN", "CONNECTOR", "DETAILS");
}

std::string ToTableLine(const v1::Event& event) {
  return absl::StrFormat(
      kColumns, absl::StrCat(event.sequence()), TimeText(event.received_at()),
      Printable(event.type_name()), Printable(event.endpoint()),
      Printable(event.connector().origin_id()),
      Printable(event.connector().display_name()), Printable(Details(event)));
}

}  // namespace waggle
