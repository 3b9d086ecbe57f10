#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/load_settings.h"
#include "config/config.h"
#include "security/secret_file.h"

namespace waggle {
namespace {

// Whether every key can be read; tells which cannot.
bool CheckKeys(const Settings& settings) {
  bool ok = true;
  for (const EndpointSettings& endpoint : settings.webhook.endpoints) {
    for (const std::string& file : endpoint.signing_key_files) {
      if (const auto key = ReadSecretFile(file); !key.ok()) {
        std::cerr << "endpoint " << endpoint.name << ": "
                  << key.status().message() << "\n";
        ok = false;
      }
    }
  }
  return ok;
}

int CheckConfig(const std::string& path) {
  const absl::StatusOr<Settings> settings = LoadSettingsFrom(path);
  if (!settings.ok()) {
    std::cerr << settings.status().message() << "\n";
    return kExitFailure;
  }
  if (!CheckKeys(*settings)) return kExitFailure;
  const absl::Status written =
      WriteAll(STDOUT_FILENO, absl::StrCat("# OK\n", ToYaml(*settings)));
  return written.ok() ? kExitOk : kExitFailure;
}

}  // namespace

Command AddCheckConfig(CLI::App& app) {
  CLI::App* check = app.add_subcommand(
      "check-config",
      "Say what is wrong with a configuration, or all it means");
  auto path = std::make_shared<std::string>();
  check->add_option("file", *path, "The configuration file (YAML)")
      ->required()
      ->type_name("FILE");
  check->footer(R"(
Reads the file, the environment's WAGGLE_ variables and the key files as
`waggle serve` would. If all is well, prints OK and every setting with its
value, as YAML without secrets. Otherwise prints every problem with its place,
and the exit code is 1.

Example:
  waggle check-config /etc/waggle/waggle.yaml)");
  return {check, [path] { return CheckConfig(*path); }};
}

}  // namespace waggle
