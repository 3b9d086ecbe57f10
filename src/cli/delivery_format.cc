#include "cli/delivery_format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "cli/text.h"
#include "event/delivery_outcome.h"
#include "event/proto_time.h"

namespace waggle {
namespace {

constexpr char kColumns[] =
    "%8s  %-23s  %-12s  %-18s  %4s  %9s  %8s  %-15s  %-23s  %s\n";

// From the first byte to the answer, as far as it came.
std::string Took(const v1::Delivery& delivery) {
  if (!delivery.has_read_duration()) return "-";
  return ShortDuration(ToDuration(delivery.read_duration()) +
                       ToDuration(delivery.verify_duration()) +
                       ToDuration(delivery.commit_duration()));
}

}  // namespace

std::string DeliveryHeading() {
  return absl::StrFormat(kColumns, "ID", "RECEIVED (UTC)", "ENDPOINT",
                         "OUTCOME", "HTTP", "BYTES", "TOOK", "FROM", "TYPE",
                         "EVENT");
}

std::string ToTableLine(const v1::Delivery& delivery) {
  std::string text;
  if (const uint64_t n = delivery.unrecorded_before(); n > 0) {
    text = absl::StrFormat("%8s  %d more refused requests have no record\n",
                           "...", n);
  }
  const std::string status =
      delivery.http_status() == 0 ? "-" : absl::StrCat(delivery.http_status());
  absl::StrAppendFormat(
      &text, kColumns, absl::StrCat(delivery.id()),
      TimeText(delivery.received_at()),
      Printable(delivery.endpoint().empty() ? delivery.path()
                                            : delivery.endpoint()),
      AsAbsl(Name(delivery.outcome())), status,
      absl::StrCat(delivery.size_bytes()), Took(delivery),
      Printable(delivery.remote_address()), Printable(delivery.type_name()),
      Printable(delivery.event_id()));
  return text;
}

}  // namespace waggle
