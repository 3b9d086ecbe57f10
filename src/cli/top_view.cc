#include "cli/top_view.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "cli/text.h"
#include "config/values.h"
#include "event/proto_time.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

// What a RatePoint counts.
constexpr double kPointSeconds = 10;

// The first `columns` characters, of UTF-8.
std::string_view Cut(std::string_view line, size_t columns) {
  for (size_t i = 0; i < line.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(line[i]) & 0xc0) == 0x80;
    if (!continues && columns-- == 0) return line.substr(0, i);
  }
  return line;
}

std::string Ago(bool known, const google::protobuf::Timestamp& time,
                absl::Time now) {
  if (!known) return "never";
  const absl::Duration ago = std::max(
      absl::Trunc(now - ToTime(time), absl::Seconds(1)), absl::ZeroDuration());
  return absl::StrCat(DurationToText(ago), " ago");
}

std::string Filters(const v1::Subscriber& subscriber) {
  if (subscriber.filters_omitted()) return "(too large to show)";
  if (subscriber.filters().empty()) return "everything";
  return absl::StrJoin(
      subscriber.filters(), " or ",
      [](std::string* out, const v1::EventFilter& filter) {
        std::string json;
        // Fails for text that is not UTF-8 only, which a gateway does not send.
        if (google::protobuf::util::MessageToJsonString(filter, &json).ok()) {
          absl::StrAppend(out, Printable(json));
        }
      });
}

std::string StoreLine(const v1::StoreState& store) {
  std::string text = absl::StrCat("store   ", BytesText(store.size_bytes()));
  if (store.max_size_bytes() != 0) {
    absl::StrAppend(&text, " of ", BytesText(store.max_size_bytes()));
  }
  absl::StrAppend(&text, ", sequences ", store.trimmed_through() + 1, " to ",
                  store.last_sequence());
  if (store.has_oldest_stored_at()) {
    absl::StrAppend(&text, ", since ", TimeText(store.oldest_stored_at()));
  }
  if (store.has_max_age()) {
    absl::StrAppend(&text, ", kept ",
                    DurationToText(ToDuration(store.max_age())));
  }
  return text;
}

std::string RatesLine(const v1::GetGatewayResponse& gateway) {
  if (gateway.rates().empty()) return "rates   not known yet";
  const v1::RatePoint& last = *gateway.rates().rbegin();
  return absl::StrFormat(
      "rates   a second: %.1f accepted, %.1f duplicates, %.1f refused, %.1f "
      "handed over",
      static_cast<double>(last.accepted()) / kPointSeconds,
      static_cast<double>(last.duplicates()) / kPointSeconds,
      static_cast<double>(last.refused()) / kPointSeconds,
      static_cast<double>(last.delivered()) / kPointSeconds);
}

std::string Keys(const v1::EndpointState& endpoint) {
  return absl::StrJoin(endpoint.keys(), ", ",
                       [](std::string* out, const v1::SigningKeyState& key) {
                         absl::StrAppend(out, Printable(key.fingerprint()),
                                         " (", key.verified(), ")");
                       });
}

void AddEndpoints(const v1::GetGatewayResponse& gateway, absl::Time now,
                  std::vector<std::string>& lines) {
  lines.push_back(absl::StrFormat("%-16s  %-12s  %-12s  %s", "ENDPOINT",
                                  "REQUEST", "ACCEPTED", "KEYS (VERIFIED)"));
  for (const v1::EndpointState& endpoint : gateway.endpoints()) {
    lines.push_back(absl::StrFormat(
        "%-16s  %-12s  %-12s  %s%s", Printable(endpoint.name()),
        Ago(endpoint.has_last_request_at(), endpoint.last_request_at(), now),
        Ago(endpoint.has_last_accepted_at(), endpoint.last_accepted_at(), now),
        endpoint.verification_failing() ? "NONE IS AUTHENTIC  " : "",
        Keys(endpoint)));
  }
}

std::string SubscriberLine(const v1::Subscriber& subscriber) {
  return absl::StrFormat("%-20s  %-21s  %9d  %8s  %9.1f  %10d  %s",
                         Printable(subscriber.principal()),
                         Printable(subscriber.remote_address()),
                         subscriber.lag_events(),
                         subscriber.lag_events() == 0
                             ? "-"
                             : ShortDuration(ToDuration(subscriber.lag_age())),
                         subscriber.delivered_per_second(),
                         subscriber.delivered(), Filters(subscriber));
}

}  // namespace

std::string TopView(const v1::GetGatewayResponse& gateway,
                    const v1::ListSubscribersResponse& subscribers,
                    size_t columns, size_t rows) {
  const absl::Time now = ToTime(gateway.now());
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(
      "waggle ", Printable(gateway.version()), ", up ",
      DurationToText(std::max(
          absl::Trunc(now - ToTime(gateway.started_at()), absl::Seconds(1)),
          absl::ZeroDuration())),
      gateway.ready() ? ", ready"
                      : absl::StrCat(", NOT READY: ",
                                     Printable(gateway.not_ready_reason())),
      "  ", TimeText(now), " UTC"));
  lines.push_back(StoreLine(gateway.store()));
  lines.push_back(RatesLine(gateway));
  lines.emplace_back();
  AddEndpoints(gateway, now, lines);
  lines.emplace_back();
  lines.push_back(absl::StrFormat(
      "%-20s  %-21s  %9s  %8s  %9s  %10s  %s",
      absl::StrCat("SUBSCRIBERS: ", subscribers.total()), "FROM", "LAG",
      "LAG AGE", "A SECOND", "DELIVERED", "FILTER"));
  int shown = 0;
  for (const v1::Subscriber& subscriber : subscribers.subscribers()) {
    // The last row is for the count of those that do not fit.
    if (lines.size() + 1 >= rows) break;
    lines.push_back(SubscriberLine(subscriber));
    ++shown;
  }
  if (const int64_t rest = int64_t{subscribers.total()} - shown; rest > 0) {
    lines.push_back(absl::StrCat("and ", rest, " more, less far behind"));
  }
  std::string text;
  for (size_t i = 0; i < std::min(lines.size(), rows); ++i) {
    absl::StrAppend(&text, AsAbsl(Cut(lines[i], columns)), "\n");
  }
  return text;
}

}  // namespace waggle
