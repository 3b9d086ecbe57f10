#include <unistd.h>

#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/report.h"
#include "cli/text.h"
#include "config/values.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "http/webhook_client.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "health";

struct Flags {
  std::string url = "http://127.0.0.1:8081";
  std::string grpc;
  std::string timeout = "3s";
  bool live = false;
  GatewayAccessFlags access;
};

// Each says what the gateway answered, or gives the error.
absl::StatusOr<std::string> AskAdmin(const Flags& flags,
                                     absl::Duration timeout) {
  const std::string url = absl::StrCat(absl::StripSuffix(flags.url, "/"),
                                       flags.live ? "/healthz" : "/readyz");
  WAGGLE_ASSIGN_OR_RETURN(
      const WebhookReply reply,
      GetUrl(url, timeout, {.ca_file = flags.access.tls_ca}));
  const std::string answer =
      Printable(std::string(absl::StripAsciiWhitespace(reply.body)));
  if (reply.status == 200) return answer;
  return absl::UnavailableError(absl::StrCat(reply.status, " ", answer));
}

absl::StatusOr<std::string> AskGrpc(const Flags& flags,
                                    absl::Duration timeout) {
  using Stub = grpc::health::v1::Health::StubInterface;
  GatewayAccessFlags access = flags.access;
  access.address = flags.grpc;
  WAGGLE_ASSIGN_OR_RETURN(const auto client, GatewayClient::Dial(access));
  const auto stub = grpc::health::v1::Health::NewStub(client->channel());
  grpc::health::v1::HealthCheckResponse response;
  const StreamEnd end = client->Call<Stub>(
      *stub, &Stub::Check, grpc::health::v1::HealthCheckRequest(), &response,
      timeout);
  if (!end.ok()) return absl::UnavailableError(end.ToString());
  if (response.status() == grpc::health::v1::HealthCheckResponse::SERVING) {
    return "serving";
  }
  return absl::UnavailableError("not serving");
}

int Health(const Flags& flags) {
  const auto timeout = DurationFromText(flags.timeout);
  if (!timeout.ok()) {
    return Fail(kCommand, absl::InvalidArgumentError(absl::StrCat(
                              "--timeout: ", timeout.status().message())));
  }
  if (*timeout < absl::Milliseconds(1)) {
    return Fail(kCommand,
                absl::InvalidArgumentError("--timeout: must be at least 1ms"));
  }
  const absl::StatusOr<std::string> answer =
      flags.grpc.empty() ? AskAdmin(flags, *timeout) : AskGrpc(flags, *timeout);
  if (!answer.ok()) return Fail(kCommand, answer.status());
  WriteAll(STDOUT_FILENO, absl::StrCat(*answer, "\n")).IgnoreError();
  return kExitOk;
}

constexpr char kFooter[] = R"(
For probes, also in an image without a shell. Asks the admin door whether the
gateway is ready (/readyz: webhooks can be taken now), with --live whether the
process lives (/healthz), or with --grpc the health service of gRPC, for which
all flags of access count. The exit code is 0 if it says so, else 1, and why is
on standard error. Restart a gateway only for --live: one that is not ready
mends itself.

Examples:
  waggle health
  waggle health --live --url https://127.0.0.1:8081 --tls-ca ca.crt
  waggle health --grpc 127.0.0.1:50051)";

}  // namespace

Command AddHealth(CLI::App& app) {
  CLI::App* health = app.add_subcommand(
      kCommand, "Ask whether a gateway is ready, for probes");
  auto flags = std::make_shared<Flags>();
  CLI::Option* url =
      health->add_option("--url", flags->url, "The admin door, without a path")
          ->type_name("URL")
          ->capture_default_str();
  CLI::Option* live = health->add_flag("--live", flags->live,
                                       "Whether it lives, not if it is ready");
  health->add_option("--grpc", flags->grpc, "Ask gRPC's health service there")
      ->type_name("HOST:PORT")
      ->excludes(url)
      ->excludes(live);
  health->add_option("--timeout", flags->timeout, "How long to wait at most")
      ->type_name("DURATION")
      ->capture_default_str();
  AddAccessFlags(*health, flags->access);
  health->footer(kFooter);
  return {health, [flags] { return Health(*flags); }};
}

}  // namespace waggle
