// The settings that a command line asks for, for serve and check-config.
#ifndef WAGGLE_CLI_LOAD_SETTINGS_H_
#define WAGGLE_CLI_LOAD_SETTINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "config/settings.h"

namespace waggle {

// From the file at `path`, or the demo's if that is empty, and this process's
// environment. Every problem is a line of the error.
absl::StatusOr<Settings> LoadSettingsFrom(const std::string& path);

}  // namespace waggle

#endif  // WAGGLE_CLI_LOAD_SETTINGS_H_
