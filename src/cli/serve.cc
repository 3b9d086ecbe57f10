#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "app/gateway.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/load_settings.h"
#include "cli/termination_signals.h"

namespace waggle {
namespace {

constexpr char kBanner[] = R"(
********************************************************************************
*  DEMO: no configuration file was given.                                      *
*                                                                              *
*  Webhooks are verified with a key that everybody knows. Do not expose this   *
*  gateway, and do not trust what it says. For real use write a file with keys *
*  of your own (docs/waggle.example.yaml) and run `waggle serve --config FILE`.*
********************************************************************************

)";

std::string Address(HostPort listen, int port) {
  listen.port = static_cast<uint16_t>(port);
  return listen.ToString();
}

std::string Url(const TlsSettings& tls, const HostPort& listen, int port) {
  return absl::StrCat(tls.enabled() ? "https://" : "http://",
                      Address(listen, port));
}

std::string ReadyLine(const Settings& settings, const Gateway& gateway) {
  const std::string webhooks = Url(
      settings.webhook.tls, settings.webhook.listen, gateway.webhook_port());
  std::string text = "ready: webhooks at";
  for (const EndpointSettings& endpoint : settings.webhook.endpoints) {
    absl::StrAppend(&text, " ", webhooks, "/webhooks/", endpoint.name);
  }
  absl::StrAppend(
      &text, ", gRPC at ", Address(settings.grpc.listen, gateway.grpc_port()),
      settings.grpc.tls.enabled() ? " (TLS)" : "", ", admin at ",
      Url(settings.admin.tls, settings.admin.listen, gateway.admin_port()),
      ", data in ", settings.store.path, "\n");
  return text;
}

struct ServeFlags {
  std::string config;
  bool insecure = false;
};

// A core file, or another process of the same user, would show the keys.
void KeepMemoryPrivate() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

int Serve(const ServeFlags& flags) {
  KeepMemoryPrivate();
  TerminationSignals signals;
  const absl::StatusOr<Settings> settings =
      LoadSettingsFrom(flags.config, flags.insecure ? Exposure::kInsecure
                                                    : Exposure::kProtected);
  if (!settings.ok()) {
    std::cerr << settings.status().message() << "\n";
    return kExitFailure;
  }
  // What is written to standard output is for people; nobody has to read it.
  if (settings->demo) WriteAll(STDOUT_FILENO, kBanner).IgnoreError();
  const absl::StatusOr<std::unique_ptr<Gateway>> gateway =
      Gateway::Start(*settings);
  if (!gateway.ok()) {
    std::cerr << "waggle serve: " << gateway.status().message() << "\n";
    return kExitFailure;
  }
  WriteAll(STDOUT_FILENO, ReadyLine(*settings, **gateway)).IgnoreError();
  signals.Wait();
  (*gateway)->Drain();
  return kExitOk;
}

}  // namespace

Command AddServe(CLI::App& app) {
  CLI::App* serve = app.add_subcommand("serve", "Run the gateway");
  auto flags = std::make_shared<ServeFlags>();
  serve
      ->add_option("--config", flags->config,
                   "The configuration file (YAML). Without it the gateway runs "
                   "a demo: on loopback, with one endpoint, `bindbee`, and a "
                   "public key")
      ->type_name("FILE")
      ->check([](const std::string& path) {
        return path.empty() ? "must not be empty" : "";
      });
  serve->add_flag("--insecure", flags->insecure, kInsecureHelp);
  serve->footer(R"(
Values can be overridden by environment variables: WAGGLE_ and the path in
capitals, such as WAGGLE_GRPC_LISTEN=127.0.0.1:50052.

The first SIGTERM or SIGINT drains: new webhooks are answered 503, those under
way are finished, streams end and tell their subscribers to reconnect; then the
exit code is 0. The second one ends at once; what was acknowledged is safe in
any case.

Examples:
  waggle serve
  waggle serve --config /etc/waggle/waggle.yaml
  WAGGLE_LOG_LEVEL=warn waggle serve --config waggle.yaml)");
  return {serve, [flags] { return Serve(*flags); }};
}

}  // namespace waggle
