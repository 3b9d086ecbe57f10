#include "cli/load_settings.h"

#include <optional>

#include "base/status_macros.h"
#include "config/config.h"

namespace waggle {

absl::StatusOr<Settings> LoadSettingsFrom(const std::string& path,
                                          Exposure exposure) {
  std::optional<ConfigFile> file;
  if (!path.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(file, ReadConfigFile(path));
  }
  return LoadSettings(file, ProcessEnvironment(), exposure);
}

}  // namespace waggle
