// Where a gateway's data is, for the commands that work on it without asking
// the gateway.
#ifndef WAGGLE_CLI_DATA_FLAGS_H_
#define WAGGLE_CLI_DATA_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "config/settings.h"

namespace CLI {
class App;
}

namespace waggle {

// As they were written; empty is absent.
struct DataFlags {
  std::string config;
  std::string data;
};

// Describes the flags to the parser. `flags` must outlive it.
void AddDataFlags(CLI::App& command, DataFlags& flags);

// The settings of the gateway whose data it is; with the directory alone, those
// of a gateway that sets nothing else. Errors as of LoadSettingsFrom.
absl::StatusOr<Settings> LoadDataSettings(const DataFlags& flags);

}  // namespace waggle

#endif  // WAGGLE_CLI_DATA_FLAGS_H_
