#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/gateway_access.h"
#include "cli/gateway_client.h"
#include "cli/io.h"
#include "cli/report.h"
#include "cli/terminal_screen.h"
#include "cli/termination_signals.h"
#include "cli/text.h"
#include "cli/top_view.h"
#include "waggle/v1/gateway_service.grpc.pb.h"

namespace waggle {
namespace {

using Stub = v1::GatewayService::StubInterface;

constexpr char kCommand[] = "top";
constexpr absl::Duration kRefresh = absl::Seconds(2);
constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr size_t kMaxSubscribers = 1000;
constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

struct Flags {
  GatewayAccessFlags access;
  bool once = false;
};

struct State {
  v1::GetGatewayResponse gateway;
  v1::ListSubscribersResponse subscribers;
};

StreamEnd Ask(GatewayClient& client, Stub& stub, size_t max_subscribers,
              State& state) {
  State answer;
  v1::GetGatewayRequest gateway;
  gateway.set_include_rates(true);
  StreamEnd end =
      client.Call(stub, &Stub::GetGateway, gateway, &answer.gateway, kTimeout);
  if (!end.ok()) return end;
  v1::ListSubscribersRequest subscribers;
  subscribers.set_max_subscribers(
      static_cast<uint32_t>(std::min(max_subscribers, kMaxSubscribers)));
  end = client.Call(stub, &Stub::ListSubscribers, subscribers,
                    &answer.subscribers, kTimeout);
  if (end.ok()) state = std::move(answer);
  return end;
}

int Once(GatewayClient& client, Stub& stub) {
  State state;
  const StreamEnd end = Ask(client, stub, kMaxSubscribers, state);
  if (!end.ok()) return Report(kCommand, end);
  const absl::Status written = WriteAll(
      STDOUT_FILENO,
      TopView(state.gateway, state.subscribers, kUnlimited, kUnlimited));
  return written.ok() || absl::IsCancelled(written) ? kExitOk : kExitFailure;
}

// The error that ended it.
StreamEnd Refresh(GatewayClient& client, Stub& stub, TerminalScreen& screen) {
  State state;
  do {
    const TerminalScreen::Size size = TerminalScreen::CurrentSize();
    StreamEnd end = Ask(client, stub, size.rows, state);
    if (!end.ok() && !end.IsTransient()) return end;
    const size_t rows = size.rows - (end.ok() ? 0 : 1);
    std::string lines =
        state.gateway.has_now()
            ? TopView(state.gateway, state.subscribers, size.columns, rows)
            : "";
    if (!end.ok()) {
      lines = absl::StrCat(Printable(end.ToString()).substr(0, size.columns),
                           "\n", lines);
    }
    // Nobody looks any more.
    if (!screen.Draw(lines).ok()) return {};
  } while (screen.Wait(kRefresh));
  return {};
}

int Top(const Flags& flags) {
  // Before gRPC starts its threads.
  TerminationSignals signals;
  const auto client = GatewayClient::Dial(flags.access);
  if (!client.ok()) return Fail(kCommand, client.status());
  const auto stub = v1::GatewayService::NewStub((*client)->channel());
  if (flags.once || isatty(STDOUT_FILENO) == 0) {
    const TerminationSignals::Handler stop(signals,
                                           [&client] { (*client)->Stop(); });
    return Once(**client, *stub);
  }
  StreamEnd end;
  {
    TerminalScreen screen;
    const TerminationSignals::Handler stop(signals, [&] {
      screen.Interrupt();
      (*client)->Stop();
    });
    end = Refresh(**client, *stub, screen);
  }
  return Report(kCommand, end);
}

constexpr char kFooter[] = R"(
Shows, every two seconds, whether the gateway is ready, what it stores, what it
takes and hands over, its endpoints with the keys in use, and the subscribers,
the ones furthest behind first:

  LAG       how many sequences have yet to be sent or passed by
  LAG AGE   how long ago the oldest of them was stored
  A SECOND  events handed over, over the last ten seconds

`q` or Ctrl-C ends it. With --once, and where standard output is no terminal,
it is printed once, in full.

Examples:
  waggle top
  waggle top --address waggle:50051 --tls-ca ca.crt --token-file token
  waggle top --once | grep billing)";

}  // namespace

Command AddTop(CLI::App& app) {
  CLI::App* top = app.add_subcommand(
      kCommand, "Watch a gateway: rates, endpoints, subscribers and their lag");
  auto flags = std::make_shared<Flags>();
  AddGatewayFlags(*top, flags->access);
  top->add_flag("--once", flags->once, "Print it once and end");
  top->footer(kFooter);
  return {top, [flags] { return Top(*flags); }};
}

}  // namespace waggle
