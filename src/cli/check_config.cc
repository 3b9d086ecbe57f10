#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "app/security_files.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/load_settings.h"
#include "config/config.h"

namespace waggle {
namespace {

struct CheckFlags {
  std::string file;
  bool insecure = false;
};

int CheckConfig(const CheckFlags& flags) {
  const absl::StatusOr<Settings> settings = LoadSettingsFrom(
      flags.file, flags.insecure ? Exposure::kInsecure : Exposure::kProtected);
  if (!settings.ok()) {
    std::cerr << settings.status().message() << "\n";
    return kExitFailure;
  }
  const SystemClock clock;
  if (const auto files = SecurityFiles::Load(*settings, clock); !files.ok()) {
    std::cerr << files.status().message() << "\n";
    return kExitFailure;
  }
  const absl::Status written =
      WriteAll(STDOUT_FILENO, absl::StrCat("# OK\n", ToYaml(*settings)));
  return written.ok() ? kExitOk : kExitFailure;
}

}  // namespace

Command AddCheckConfig(CLI::App& app) {
  CLI::App* check = app.add_subcommand(
      "check-config",
      "Say what is wrong with a configuration, or all it means");
  auto flags = std::make_shared<CheckFlags>();
  check->add_option("file", flags->file, "The configuration file (YAML)")
      ->required()
      ->type_name("FILE");
  check->add_flag("--insecure", flags->insecure, kInsecureHelp);
  check->footer(R"(
Reads the file, the environment's WAGGLE_ variables, and the files that they
name (keys, certificates, the access file) as `waggle serve` would. If all is
well, prints OK and every setting with its value, as YAML without secrets.
Otherwise prints every problem with its place, and the exit code is 1.

Example:
  waggle check-config /etc/waggle/waggle.yaml)");
  return {check, [flags] { return CheckConfig(*flags); }};
}

}  // namespace waggle
