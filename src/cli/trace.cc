#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/flag_values.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/report.h"
#include "cli/termination_signals.h"
#include "cli/text.h"
#include "cli/trace_story.h"
#include "event/proto_time.h"
#include "waggle/v1/delivery_service.grpc.pb.h"

namespace waggle {
namespace {

using Stub = v1::DeliveryService::StubInterface;

constexpr char kCommand[] = "trace";
constexpr int kMaxPart = 1000;

struct Flags {
  std::string sync;
  std::string record;
  std::string connector;
  std::string origin;
  std::string since;
  std::string until;
  GatewayAccessFlags access;
  std::string output = "text";
  int limit = 100;
};

absl::StatusOr<v1::CheckDeliveryRequest> ToRequest(const Flags& flags,
                                                   absl::Time now) {
  v1::CheckDeliveryRequest request;
  if (!flags.sync.empty()) request.set_sync_id(flags.sync);
  if (!flags.record.empty()) request.set_record_id(flags.record);
  if (!flags.connector.empty()) request.set_connector_id(flags.connector);
  if (!flags.origin.empty()) request.set_origin_id(flags.origin);
  if (request.subject_case() == v1::CheckDeliveryRequest::SUBJECT_NOT_SET) {
    return absl::InvalidArgumentError("what is asked about must not be empty");
  }
  if (!flags.since.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(const absl::Time since,
                            MomentFromText("--since", flags.since, now));
    WAGGLE_RETURN_IF_ERROR(
        SetTimestamp("--since", since, request.mutable_since()));
  }
  if (!flags.until.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(const absl::Time until,
                            MomentFromText("--until", flags.until, now));
    WAGGLE_RETURN_IF_ERROR(
        SetTimestamp("--until", until, request.mutable_until()));
  }
  return request;
}

std::string Subject(const Flags& flags) {
  if (!flags.sync.empty()) return absl::StrCat("sync ", flags.sync);
  if (!flags.record.empty()) return absl::StrCat("record ", flags.record);
  if (!flags.origin.empty()) return absl::StrCat("origin ", flags.origin);
  return absl::StrCat("connector ", flags.connector);
}

// Asks until everything was looked at, or there are as many events as wanted.
StreamEnd Ask(GatewayClient& client, v1::CheckDeliveryRequest request,
              int limit, v1::CheckDeliveryResponse& story) {
  const auto stub = v1::DeliveryService::NewStub(client.channel());
  while (true) {
    request.set_max_events(
        static_cast<uint32_t>(std::min(kMaxPart, limit - story.events_size())));
    v1::CheckDeliveryResponse part;
    StreamEnd end =
        client.Call<Stub>(*stub, &Stub::CheckDelivery, request, &part);
    if (!end.ok()) return end;
    AppendPart(part, story);
    // More events of one moment than an answer holds would be asked for again
    // and again.
    const bool stuck = request.has_since() &&
                       ToTime(part.searched_until()) <= ToTime(request.since());
    if (!part.truncated() || story.events_size() >= limit || stuck) return end;
    *request.mutable_since() = part.searched_until();
  }
}

int Trace(const Flags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  const absl::StatusOr<v1::CheckDeliveryRequest> request =
      ToRequest(flags, absl::Now());
  if (!request.ok()) return Fail(kCommand, request.status());
  const auto client = GatewayClient::Dial(flags.access);
  if (!client.ok()) return Fail(kCommand, client.status());
  const TerminationSignals::Handler stop(signals,
                                         [&client] { (*client)->Stop(); });

  v1::CheckDeliveryResponse story;
  const StreamEnd end = Ask(**client, *request, flags.limit, story);
  if (!end.ok()) return Report(kCommand, end);
  const absl::StatusOr<std::string> text =
      flags.output == "json" ? JsonLine(story) : ToStory(Subject(flags), story);
  if (!text.ok()) return Fail(kCommand, text.status());
  const absl::Status written = WriteAll(STDOUT_FILENO, *text);
  return written.ok() || absl::IsCancelled(written) ? kExitOk : kExitFailure;
}

constexpr char kFooter[] = R"(
Tells the story of what was asked about, in order of time: when its first byte
came and from where, how long reading, verifying and storing took, with which
key it was signed, its duplicates, and which subscribers were handed each event
and when (to a second), are still to be, or were gone before. Also what was
refused in that time, since what could not be authenticated may have been it.

To be handed over means that the transport took the event; whether a consumer
handled it, the consumer knows. Only events that you may read are shown.

By default the last 24 hours are searched. As JSON, one line
(waggle.v1.CheckDeliveryResponse). The exit code is 0 also if nothing arrived.

Examples:
  waggle trace --sync 01932f6e-4e6b-7cc0-a7f3-0a6c2d9e5b11
  waggle trace --origin acme --since 2h
  waggle trace --record emp_42 --since 2025-01-31T00:00:00Z --output json)";

}  // namespace

Command AddTrace(CLI::App& app) {
  CLI::App* trace = app.add_subcommand(
      kCommand,
      "Tell what became of a sync, a record, a connector or a customer");
  auto flags = std::make_shared<Flags>();
  AddGatewayFlags(*trace, flags->access);
  CLI::Option_group* subject =
      trace->add_option_group("What is asked about (one of them)");
  subject->add_option("--sync", flags->sync, "The sync's id")->type_name("ID");
  subject
      ->add_option("--record", flags->record,
                   "An employee's or another record's id")
      ->type_name("ID");
  subject->add_option("--connector", flags->connector, "The connector's id")
      ->type_name("ID");
  subject
      ->add_option("--origin", flags->origin,
                   "The customer: the connector's origin id")
      ->type_name("ID");
  subject->require_option(1);
  trace
      ->add_option("--since", flags->since,
                   "Stored at or after this: a time such as "
                   "2025-01-31T08:00:00Z, or a duration ago such as 2h; by "
                   "default 24h before --until")
      ->type_name("TIME");
  trace
      ->add_option("--until", flags->until,
                   "Stored before this; by default now")
      ->type_name("TIME");
  trace->add_option("--limit", flags->limit, "The most events to tell of")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  trace->add_option("--output", flags->output, "text or json")
      ->type_name("text|json")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str();
  trace->footer(kFooter);
  return {trace, [flags] { return Trace(*flags); }};
}

}  // namespace waggle
