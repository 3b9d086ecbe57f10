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
#include "cli/io.h"
#include "cli/progress.h"
#include "cli/subscribe_flags.h"
#include "cli/subscriber_client.h"
#include "cli/tail_subscriber.h"
#include "cli/termination_signals.h"
#include "config/values.h"

namespace waggle {
namespace {

struct TailFlags {
  SubscribeFlags subscribe;
  GatewayAccessFlags access;
  std::string address = "127.0.0.1:50051";
  std::string heartbeat = "10s";
  std::string cursor_file;
  std::string output = "json";
  OnGap on_gap = OnGap::kFail;
  uint64_t limit = 0;
  bool progress = false;
};

void Tell(const std::string& text) {
  WriteAll(STDERR_FILENO, text).IgnoreError();
}

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

// Tells why the stream ended for good.
int Report(const StreamEnd& end) {
  if (end.ok()) return kExitOk;
  Tell(absl::StrCat("waggle tail: ", end.ToString(), "\n"));
  if (end.reason == "CREDENTIALS_MISSING") {
    Tell("show who you are by --token-file, or by --tls-cert and --tls-key\n");
  }
  if (!end.IsGap()) return kExitRefused;
  if (const auto time = end.metadata.find("earliest_time");
      time != end.metadata.end()) {
    Tell(absl::StrCat("the oldest event that is left was stored at ",
                      time->second, "\n"));
  }
  Tell(
      "go on without the lost events by --on-gap=earliest or "
      "--on-gap=latest\n");
  return kExitGap;
}

int Fail(const absl::Status& status) {
  Tell(absl::StrCat("waggle tail: ", status.message(), "\n"));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailure;
}

int Tail(const TailFlags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  std::optional<CursorFile> file;
  if (!flags.cursor_file.empty()) file.emplace(flags.cursor_file);
  const absl::StatusOr<v1::SubscribeRequest> request =
      BuildRequest(flags, file);
  if (!request.ok()) return Fail(request.status());

  const absl::StatusOr<DialOptions> dial = ToDialOptions(flags.access);
  if (!dial.ok()) return Fail(dial.status());
  const absl::StatusOr<BearerTokenSource> token = ToTokenSource(flags.access);
  if (!token.ok()) return Fail(token.status());

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

  const auto stub =
      v1::EventService::NewStub(DialGateway(flags.address, *dial));
  const auto heartbeat = request->heartbeat_interval();
  SubscriberClient client(
      *stub, {.request = *request,
              .bearer_token = *token,
              .on_gap = flags.on_gap,
              .silence_timeout = 3 * (absl::Seconds(heartbeat.seconds()) +
                                      absl::Nanoseconds(heartbeat.nanos()))});
  signals.OnFirst([&client] { client.Stop(); });
  const StreamEnd end = client.Run(subscriber);
  const absl::Status finished = subscriber.Finish();
  // `waggle tail | head` is no failure.
  if (absl::IsCancelled(finished)) return kExitOk;
  if (!finished.ok()) {
    Tell(absl::StrCat("waggle tail: ", finished.message(), "\n"));
    return kExitFailure;
  }
  return Report(end);
}

void AddAccessFlags(CLI::App& tail, GatewayAccessFlags& flags) {
  constexpr char kGroup[] = "Access";
  const auto add = [&](const char* name, std::string& value,
                       const char* description, const char* type = "FILE") {
    tail.add_option(name, value, description)->type_name(type)->group(kGroup);
  };
  add("--token-file", flags.token_file,
      "A file that holds the bearer token; read anew for each attempt");
  tail.add_flag("--tls", flags.tls,
                "Over TLS, verified by the system's authorities")
      ->group(kGroup);
  add("--tls-ca", flags.tls_ca,
      "Over TLS, verified by these authorities (PEM) instead");
  add("--tls-cert", flags.tls_cert, "The client certificate to show (PEM)");
  add("--tls-key", flags.tls_key, "Its private key (PEM)");
  add("--tls-server-name", flags.tls_server_name,
      "The name that the gateway's certificate is for, if it is not the "
      "address's host",
      "NAME");
}

void AddFilterFlags(CLI::App& tail, SubscribeFlags& flags) {
  const auto add = [&tail](const char* name, std::vector<std::string>& values,
                           const char* description, const char* type = "TEXT") {
    tail.add_option(name, values, description)
        ->type_name(type)
        ->allow_extra_args(false)
        ->group("Filters (each repeatable)");
  };
  add("--type", flags.types,
      "sync_started, sync_completed, sync_failed, employees_changed or "
      "data_modified",
      "TYPE");
  add("--type-name", flags.type_names,
      "The event as Bindbee names it, such as connector_synced; reaches events "
      "that have no type yet");
  add("--connector", flags.connectors, "The connector's id");
  add("--origin", flags.origins, "The customer: the connector's origin id");
  add("--integration", flags.integrations,
      "The source system's slug, such as bamboohr");
  add("--category", flags.categories, "hris, ats or lms", "CATEGORY");
  add("--model", flags.models,
      "A model whose records changed, such as hris_employment");
  add("--sync-type", flags.sync_types, "automated or manual", "TYPE");
  add("--connector-status", flags.connector_statuses,
      "complete, incomplete or relink_needed", "STATUS");
  add("--endpoint", flags.endpoints, "The gateway's endpoint");
  add("--filter", flags.filters,
      "Another filter, as a waggle.v1.EventFilter in JSON", "JSON");
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
  tail->add_option("--address", flags->address, "The gateway's gRPC address")
      ->type_name("HOST:PORT")
      ->capture_default_str();
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
  AddAccessFlags(*tail, flags->access);
  AddFilterFlags(*tail, flags->subscribe);
  tail->footer(kFooter);
  return {tail, [flags] { return Tail(*flags); }};
}

}  // namespace waggle
