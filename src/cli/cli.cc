#include "cli/cli.h"

#include <sys/stat.h>

#include <csignal>
#include <exception>
#include <iostream>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "cli/command.h"
#include "cli/exit_codes.h"

namespace waggle {
namespace {

constexpr char kDescription[] =
    "The event gateway between Bindbee and your own services: verifies and "
    "stores\nBindbee's webhooks, and streams them as typed events over gRPC.";

constexpr char kFooter[] = R"(
Try it:
  waggle serve                        a gateway for trying out, on this machine
  waggle tail                         in another terminal: shows what comes
  waggle send --sample all            in a third: Bindbee's webhooks, by hand

Exit codes:
  0  it worked          3  the gateway refused what was asked
  1  it did not work    4  events were lost before they were seen: see
  2  wrong usage           `waggle tail --help`, --on-gap

`waggle COMMAND --help` tells more about each command.)";

}  // namespace

int Run(int argc, const char* const* argv) {
  // Writing to a pipe or socket that nobody reads is an error like others.
  std::signal(SIGPIPE, SIG_IGN);
  // What is written holds personal data: it is its user's alone, also in a
  // directory that others may look into.
  ::umask(077);
  CLI::App app(kDescription, "waggle");
  app.footer(kFooter);
  app.set_version_flag("--version", "waggle " WAGGLE_VERSION,
                       "Print the version");
  app.require_subcommand(1);
  const Command commands[] = {
      AddServe(app),       AddTail(app),       AddSend(app),   AddSign(app),
      AddCheckConfig(app), AddDeliveries(app), AddTrace(app),  AddTop(app),
      AddHealth(app),      AddBackup(app),     AddExport(app), AddImport(app)};
  try {
    app.parse(argc, argv);
    for (const Command& command : commands) {
      if (command.parser->parsed()) return command.run();
    }
    return kExitUsage;
  } catch (const CLI::ParseError& e) {
    // Prints the help that was asked for, or what is wrong.
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  } catch (const std::exception& e) {
    std::cerr << "waggle: " << e.what() << "\n";
    return kExitFailure;
  }
}

}  // namespace waggle
