#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/delivery_client.h"
#include "cli/delivery_flags.h"
#include "cli/delivery_format.h"
#include "cli/exit_codes.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/report.h"
#include "cli/termination_signals.h"
#include "cli/text.h"
#include "config/values.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "deliveries";
// The gateway shows every 30 s that it lives.
constexpr absl::Duration kSilenceTimeout = absl::Seconds(90);

struct Flags {
  DeliveryFlags filter;
  GatewayAccessFlags access;
  std::string output = "table";
  uint32_t limit = 100;
  bool follow = false;
};

class Printer {
 public:
  explicit Printer(bool table) : table_(table) {}

  absl::Status Print(const std::vector<v1::Delivery>& deliveries) {
    std::string text;
    if (table_ && !std::exchange(heading_printed_, true)) {
      text = DeliveryHeading();
    }
    for (const v1::Delivery& delivery : deliveries) {
      if (table_) {
        text += ToTableLine(delivery);
      } else {
        WAGGLE_ASSIGN_OR_RETURN(const std::string line, JsonLine(delivery));
        text += line;
      }
    }
    return WriteAll(STDOUT_FILENO, text);
  }

 private:
  const bool table_;
  bool heading_printed_ = false;
};

// `waggle deliveries | head` is no failure.
int PrintingFailed(const absl::Status& status) {
  if (absl::IsCancelled(status)) return kExitOk;
  Fail(kCommand, status);
  return kExitFailure;
}

int List(const Flags& flags, const v1::DeliveryFilter& filter,
         GatewayClient& client) {
  const auto stub = v1::DeliveryService::NewStub(client.channel());
  const ListedDeliveries listed =
      ListDeliveries(client, *stub, filter, flags.limit);
  if (!listed.end.ok()) return Report(kCommand, listed.end);
  Printer printer(flags.output == "table");
  if (const absl::Status printed = printer.Print(listed.deliveries);
      !printed.ok()) {
    return PrintingFailed(printed);
  }
  if (listed.more) {
    Tell(absl::StrCat("waggle deliveries: there are older ones; --limit is ",
                      flags.limit, "\n"));
  }
  return kExitOk;
}

int Follow(const Flags& flags, const v1::DeliveryFilter& filter,
           GatewayClient& client, TerminationSignals& signals) {
  DeliveryFollower follower(client, filter, flags.limit,
                            {.bearer_token = client.bearer_token(),
                             .silence_timeout = kSilenceTimeout});
  const TerminationSignals::Handler stop(signals,
                                         [&follower] { follower.Stop(); });
  Printer printer(flags.output == "table");
  absl::Status printed;
  const StreamEnd end = follower.Run(
      {.deliveries =
           [&](const std::vector<v1::Delivery>& deliveries) {
             printed = printer.Print(deliveries);
             return printed.ok();
           },
       .interrupted =
           [](const StreamEnd& end, absl::Duration pause) {
             Tell(absl::StrCat(
                 "waggle deliveries: ",
                 end.ok() ? "the gateway ended the stream" : end.ToString(),
                 "; again in ",
                 DurationToText(absl::Ceil(pause, absl::Milliseconds(10))),
                 "\n"));
           },
       .left_out =
           [] {
             Tell(absl::StrCat(
                 "waggle deliveries: more than ", kMaxListedDeliveries,
                 " came meanwhile; the oldest of them are only in the log\n"));
           }});
  return printed.ok() ? Report(kCommand, end) : PrintingFailed(printed);
}

int Deliveries(const Flags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  const absl::StatusOr<v1::DeliveryFilter> filter =
      ToFilter(flags.filter, absl::Now());
  if (!filter.ok()) return Fail(kCommand, filter.status());
  const auto client = GatewayClient::Dial(flags.access);
  if (!client.ok()) return Fail(kCommand, client.status());
  if (flags.follow) return Follow(flags, *filter, **client, signals);
  const TerminationSignals::Handler stop(signals,
                                         [&client] { (*client)->Stop(); });
  return List(flags, *filter, **client);
}

constexpr char kFooter[] = R"(
Prints the gateway's delivery log, oldest first: every request to a webhook
endpoint with what became of it, as far as records are kept. Values of one
filter are alternatives, different filters must all match.

  ID    the record's, in order of recording    TOOK  first byte to answer
  HTTP  what it was answered                   EVENT the event that it became, or
                                                     that it is a duplicate of

As JSON, a line for each delivery (waggle.v1.Delivery).

With --follow it first prints the newest --limit, then every one as it is
recorded; it reconnects for ever, and misses and repeats none.

Examples:
  waggle deliveries --since 1h
  waggle deliveries --outcome unauthenticated --outcome throttled --follow
  waggle deliveries --type-name connector_synced --output json | jq .eventId)";

}  // namespace

Command AddDeliveries(CLI::App& app) {
  CLI::App* deliveries = app.add_subcommand(
      kCommand, "Show what came to the webhook door and what became of it");
  auto flags = std::make_shared<Flags>();
  AddGatewayFlags(*deliveries, flags->access);
  CLI::Option* follow =
      deliveries->add_flag("--follow", flags->follow, "Go on with what comes");
  deliveries
      ->add_option("--limit", flags->limit, "The most of the log to print")
      ->type_name("N")
      ->check(CLI::Range(size_t{1}, kMaxListedDeliveries))
      ->capture_default_str();
  deliveries->add_option("--output", flags->output, "table or json")
      ->type_name("table|json")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->capture_default_str();
  AddDeliveryFlags(*deliveries, flags->filter);
  follow->excludes("--until");
  deliveries->footer(kFooter);
  return {deliveries, [flags] { return Deliveries(*flags); }};
}

}  // namespace waggle
