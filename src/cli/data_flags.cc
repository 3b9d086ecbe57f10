#include "cli/data_flags.h"

#include "CLI/App.hpp"
#include "base/status_macros.h"
#include "cli/load_settings.h"

namespace waggle {

void AddDataFlags(CLI::App& command, DataFlags& flags) {
  CLI::Option* config =
      command
          .add_option("--config", flags.config,
                      "The gateway's configuration file (YAML), which names "
                      "its data directory")
          ->type_name("FILE");
  command
      .add_option("--data", flags.data,
                  "The data directory itself; without both, that of `waggle "
                  "serve` without a configuration")
      ->type_name("DIR")
      ->excludes(config);
}

absl::StatusOr<Settings> LoadDataSettings(const DataFlags& flags) {
  // Nothing is listened on here.
  WAGGLE_ASSIGN_OR_RETURN(Settings settings,
                          LoadSettingsFrom(flags.config, Exposure::kInsecure));
  if (!flags.data.empty()) settings.store.path = flags.data;
  return settings;
}

}  // namespace waggle
