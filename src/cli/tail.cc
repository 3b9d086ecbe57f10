#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/cursor_file.h"
#include "cli/exit_codes.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/subscribe_flags.h"
#include "cli/subscriber_client.h"
#include "cli/tail_subscriber.h"
#include "cli/termination_signals.h"
#include "cli/text.h"
#include "config/values.h"
#include "event/proto_time.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "tail";

struct TailFlags {
  SubscribeFlags subscribe;
  GatewayAccessFlags access;
  std::string heartbeat = "10s";
  std::string cursor_file;
  std::string output = "json";
  OnGap on_gap = OnGap::kFail;
  uint64_t limit = 0;
  bool progress = false;
};

// The request that the flags ask for, and what the file says where to resume.
absl::StatusOr<v1::SubscribeRequest> BuildRequest(
    const TailFlags& flags, const std::optional<CursorFile>& file) {
  SubscribeFlags subscribe = flags.subscribe;
  const auto heartbeat = DurationFromText(flags.heartbeat);
  if (!heartbeat.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--heartbeat: ", heartbeat.status().message()));
  }
  // What the gateway takes; with less, every silence would look like its end.
  if (*heartbeat < absl::Seconds(1) || *heartbeat > absl::Minutes(10)) {
    return absl::InvalidArgumentError("--heartbeat: must be 1s to 10m");
  }
  subscribe.heartbeat = *heartbeat;
  // With one event a response, the stored cursor is right behind the last
  // event that was printed.
  if (flags.limit != 0 && file.has_value()) subscribe.max_batch = 1;
  WAGGLE_ASSIGN_OR_RETURN(v1::SubscribeRequest request,
                          ToRequest(subscribe, absl::Now()));
  if (file.has_value()) {
    WAGGLE_ASSIGN_OR_RETURN(const std::string cursor, file->Load());
    if (!cursor.empty()) request.set_after_cursor(cursor);
  }
  return request;
}

// Tells why the tail ended, and of a gap what can be done.
int ReportEnd(const StreamEnd& end) {
  const ExitCode code = Report(kCommand, end);
  if (code != kExitGap) return code;
  if (const auto time = end.metadata.find("earliest_time");
      time != end.metadata.end()) {
    Tell(absl::StrCat("the oldest event that is left was stored at ",
                      time->second, "\n"));
  }
  Tell(
      "go on without the lost events by --on-gap=earliest or "
      "--on-gap=latest\n");
  return code;
}

int Tail(const TailFlags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  std::optional<CursorFile> file;
  if (!flags.cursor_file.empty()) file.emplace(flags.cursor_file);
  const absl::StatusOr<v1::SubscribeRequest> request =
      BuildRequest(flags, file);
  if (!request.ok()) return Fail(kCommand, request.status());

  const auto gateway = GatewayClient::Dial(flags.access);
  if (!gateway.ok()) return Fail(kCommand, gateway.status());

  const bool terminal = isatty(STDERR_FILENO) != 0;
  // Between events on a terminal the line would only be in the way.
  const bool show_progress =
      flags.progress || (terminal && isatty(STDOUT_FILENO) == 0);
  Progress progress(terminal, Tell);
  TailSubscriber subscriber(
      {.table = flags.output == "table",
       .limit = flags.limit,
       .output = STDOUT_FILENO,
       .cursor_file = file.has_value() ? &*file : nullptr},
      {.response =
           [&](const v1::SubscribeResponse& response) {
             if (!show_progress) return;
             progress.Update(response, std::chrono::steady_clock::now(),
                             absl::Now());
           },
       .message =
           [](const std::string& message) {
             Tell(absl::StrCat("waggle tail: ", message, "\n"));
           }});

  const auto heartbeat = request->heartbeat_interval();
  SubscriberClient client(
      [&gateway] {
        return v1::EventService::NewStub((*gateway)->NewChannel());
      },
      {.request = *request,
       .on_gap = flags.on_gap,
       .reconnect = {.bearer_token = (*gateway)->bearer_token(),
                     .silence_timeout = 3 * ToDuration(heartbeat)}});
  const TerminationSignals::Handler stop(signals, [&client] { client.Stop(); });
  const StreamEnd end = client.Run(subscriber);
  const absl::Status finished = subscriber.Finish();
  // `waggle tail | head` is no failure.
  if (absl::IsCancelled(finished)) return kExitOk;
  if (!finished.ok()) {
    Fail(kCommand, finished);
    return kExitFailure;
  }
  return ReportEnd(end);
}

constexpr char kFooter[] = R"(
Filters: values of one flag are alternatives, different flags must all match,
and together they make one filter. Each --filter is one more, and events that
match any of the filters are printed; without filters, all events.

Output: a line of proto3 JSON (waggle.v1.Event) for each event, or a table.
Messages and progress go to standard error.

The tail reconnects for ever and resumes where it was. With --cursor-file it
also resumes after its own end; events are stored as seen once they are
printed, so after a crash some can be printed twice, but none is left out.

Exit codes: 0 on SIGTERM, SIGINT, --limit, --until-caught-up or when nobody
reads the output; 3 if the gateway refuses the request; 4 if the gateway has
already removed events that were not seen yet, or holds other data than the
cursor tells of, unless --on-gap says how to go on.

Examples:
  waggle tail --output table
  waggle tail --type sync_completed --origin acme --cursor-file acme.cursor
  waggle tail --address waggle:50051 --tls-ca ca.crt --token-file token
  waggle tail --from 2h --until-caught-up | jq .typeName
  waggle tail --filter '{"models": ["hris_employment"]}' \
              --filter '{"types": ["EVENT_TYPE_SYNC_FAILED"]}')";

}  // namespace

Command AddTail(CLI::App& app) {
  CLI::App* tail =
      app.add_subcommand("tail", "Print events as a gateway stores them");
  auto flags = std::make_shared<TailFlags>();
  AddGatewayFlags(*tail, flags->access);
  tail->add_option("--from", flags->subscribe.from,
                   "Where to start: earliest, latest, a time such as "
                   "2025-01-31T08:00:00Z, a duration ago such as 2h, or a "
                   "cursor")
      ->type_name("START")
      ->capture_default_str();
  tail->add_option("--cursor-file", flags->cursor_file,
                   "Keep the cursor in this file; if it exists, resume there "
                   "and not at --from")
      ->type_name("FILE");
  tail->add_option("--on-gap", flags->on_gap,
                   "What to do if events were removed before they were seen: "
                   "fail, or go on at the earliest or latest event")
      ->type_name("fail|earliest|latest")
      ->transform(CLI::CheckedTransformer(std::map<std::string, OnGap>{
                                              {"fail", OnGap::kFail},
                                              {"earliest", OnGap::kEarliest},
                                              {"latest", OnGap::kLatest}})
                      .description(""))
      ->default_str("fail");
  tail->add_flag("--until-caught-up", flags->subscribe.until_caught_up,
                 "End after everything that is stored now");
  tail->add_option("--limit", flags->limit, "End after so many events")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  tail->add_option("--output", flags->output, "json or table")
      ->type_name("json|table")
      ->check(CLI::IsMember({"json", "table"}).description(""))
      ->capture_default_str();
  tail->add_flag("--payload", flags->subscribe.payload,
                 "With the raw body of each webhook, in base64");
  tail->add_option("--max-batch", flags->subscribe.max_batch,
                   "The most events in a message, 1 to 256; the gateway "
                   "chooses by default")
      ->type_name("N")
      ->check(CLI::Range(1, 256));
  tail->add_option("--heartbeat", flags->heartbeat,
                   "How often the gateway must show that it lives, 1s to 10m; "
                   "after three times as long the tail reconnects")
      ->type_name("DURATION")
      ->capture_default_str();
  tail->add_flag("--progress", flags->progress,
                 "Tell how far it is while catching up, also where standard "
                 "error is no terminal");
  AddFilterFlags(*tail, flags->subscribe);
  tail->footer(kFooter);
  return {tail, [flags] { return Tail(*flags); }};
}

}  // namespace waggle
