#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/draft_file.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/event_file.h"
#include "cli/exit_codes.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/subscribe_flags.h"
#include "cli/subscriber_client.h"
#include "cli/termination_signals.h"
#include "config/values.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "export";

struct Flags {
  SubscribeFlags subscribe;
  GatewayAccessFlags access;
  EventFormat format = EventFormat::kJsonLines;
  std::string output;
};

class Exporter final : public Subscriber {
 public:
  Exporter(EventFormat format, int output)
      : format_(format),
        output_(output),
        progress_(isatty(STDERR_FILENO) != 0, Tell) {}

  bool OnResponse(const v1::SubscribeResponse& response) override {
    status_ = Write(response);
    progress_.Update(response, std::chrono::steady_clock::now(), absl::Now());
    return status_.ok();
  }

  void OnInterrupted(const StreamEnd& end, absl::Duration pause) override {
    Tell(absl::StrCat(
        "waggle export: ",
        end.ok() ? "the gateway ended the stream" : end.ToString(),
        "; again in ",
        DurationToText(absl::Ceil(pause, absl::Milliseconds(10))), "\n"));
  }

  const absl::Status& status() const { return status_; }
  uint64_t events() const { return events_; }

 private:
  absl::Status Write(const v1::SubscribeResponse& response) {
    std::string text;
    for (const v1::Event& event : response.events()) {
      WAGGLE_RETURN_IF_ERROR(AppendEvent(format_, event, text));
    }
    events_ += static_cast<uint64_t>(response.events_size());
    return WriteAll(output_, text);
  }

  const EventFormat format_;
  const int output_;
  Progress progress_;
  absl::Status status_;
  uint64_t events_ = 0;
};

int Failed(const absl::Status& status) {
  Fail(kCommand, status);
  return kExitFailure;
}

int Export(const Flags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  const absl::StatusOr<v1::SubscribeRequest> request =
      ToRequest(flags.subscribe, absl::Now());
  if (!request.ok()) return Fail(kCommand, request.status());
  const auto gateway = GatewayClient::Dial(flags.access);
  if (!gateway.ok()) return Fail(kCommand, gateway.status());
  std::optional<DraftFile> file;
  if (!flags.output.empty()) {
    absl::StatusOr<DraftFile> draft = DraftFile::Create(flags.output);
    if (!draft.ok()) return Failed(draft.status());
    file.emplace(*std::move(draft));
  }

  Exporter exporter(flags.format,
                    file.has_value() ? file->fd() : STDOUT_FILENO);
  SubscriberClient client(
      [&gateway] {
        return v1::EventService::NewStub((*gateway)->NewChannel());
      },
      {.request = *request,
       .reconnect = {.bearer_token = (*gateway)->bearer_token(),
                     .silence_timeout = 3 * flags.subscribe.heartbeat}});
  std::atomic<bool> cancelled = false;
  const TerminationSignals::Handler stop(signals, [&] {
    cancelled = true;
    client.Stop();
  });
  const StreamEnd end = client.Run(exporter);
  if (absl::IsCancelled(exporter.status())) return kExitOk;
  if (!exporter.status().ok()) return Failed(exporter.status());
  if (!end.ok()) return Report(kCommand, end);
  if (cancelled) {
    return Failed(absl::CancelledError("cancelled before it was complete"));
  }
  if (file.has_value()) {
    if (const absl::Status status = file->Publish(); !status.ok()) {
      return Failed(status);
    }
  }
  Tell(absl::StrCat("waggle export: ", exporter.events(), " events\n"));
  return kExitOk;
}

constexpr char kFooter[] = R"(
Writes the events that a gateway holds when the command begins, oldest first,
with their payloads, which takes the capabilities personal_data and raw_payload.
Filters are those of `waggle tail`. It goes on where it was when the gateway is
restarted meanwhile. An --output FILE appears complete or not at all, is never
replaced, and only its owner can read it.

Formats: jsonl is a line of proto3 JSON for each event (waggle.v1.Event);
protobuf is each event behind its length as a varint, and takes half the room
and time. `waggle import` reads both.

The exit code is 4 if the gateway removed events before they were read.

Examples:
  waggle export --output events.jsonl
  waggle export --origin acme --from 24h | gzip > acme.jsonl.gz
  waggle export --address waggle:50051 --tls-ca ca.crt --token-file token \
                --format protobuf --output events.pb)";

}  // namespace

Command AddExport(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      kCommand, "Write the events that a gateway holds to a file");
  auto flags = std::make_shared<Flags>();
  flags->subscribe.from = "earliest";
  flags->subscribe.until_caught_up = true;
  flags->subscribe.payload = true;
  // The most there can be: the largest batches cost the least.
  flags->subscribe.max_batch = 256;
  AddGatewayFlags(*command, flags->access);
  command
      ->add_option("--from", flags->subscribe.from,
                   "Where to start: earliest, a time such as "
                   "2025-01-31T08:00:00Z, a duration ago such as 2h, or a "
                   "cursor")
      ->type_name("START")
      ->capture_default_str();
  command->add_option("--format", flags->format, "jsonl or protobuf")
      ->type_name("jsonl|protobuf")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, EventFormat>{
                                      {"jsonl", EventFormat::kJsonLines},
                                      {"protobuf", EventFormat::kProtobuf}})
              .description(""))
      ->default_str("jsonl");
  command
      ->add_option("--output", flags->output,
                   "The file, which must not exist; by default standard output")
      ->type_name("FILE");
  AddFilterFlags(*command, flags->subscribe);
  command->footer(kFooter);
  return {command, [flags] { return Export(*flags); }};
}

}  // namespace waggle
