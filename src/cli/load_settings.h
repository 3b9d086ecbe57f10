// The settings that a command line asks for, for serve and check-config.
#ifndef WAGGLE_CLI_LOAD_SETTINGS_H_
#define WAGGLE_CLI_LOAD_SETTINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "config/settings.h"

namespace waggle {

// Of the flag --insecure.
inline constexpr char kInsecureHelp[] =
    "Let gRPC and the admin port listen on other than loopback addresses "
    "without access control and TLS";

// From the file at `path`, or the demo's if that is empty, and this process's
// environment. Every problem is a line of the error.
absl::StatusOr<Settings> LoadSettingsFrom(const std::string& path,
                                          Exposure exposure);

}  // namespace waggle

#endif  // WAGGLE_CLI_LOAD_SETTINGS_H_
