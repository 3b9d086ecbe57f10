// From a YAML file and the environment to Settings.
//
//   auto settings = LoadSettings(ConfigFile{"waggle.yaml", text},
//                                ProcessEnvironment());
//
// The schema is proto/waggle/config/v1/config.proto. Environment variables win
// over the file. Whatever is wrong is refused, and all of it is reported at
// once: INVALID_ARGUMENT, whose message has one line a problem, each with its
// place ("waggle.yaml:12:3" or the variable's name) and with what is allowed.
//
// Pure functions, except where said.
#ifndef WAGGLE_CONFIG_CONFIG_H_
#define WAGGLE_CONFIG_CONFIG_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/settings.h"
#include "waggle/config/v1/access.pb.h"
#include "waggle/config/v1/config.pb.h"

namespace waggle {

// A configuration file that was read.
struct ConfigFile {
  // For messages only.
  std::string name;
  std::string text;
};

using Environment = std::map<std::string, std::string>;

// Whether listeners on other than loopback addresses must ask who calls, and
// the gRPC one keep what it says from eavesdroppers.
enum class Exposure { kProtected, kInsecure };

// The settings of `file` and `environment`; without a file, those of the demo.
// Variables that do not begin with WAGGLE_ are ignored.
absl::StatusOr<Settings> LoadSettings(const std::optional<ConfigFile>& file,
                                      const Environment& environment,
                                      Exposure exposure = Exposure::kProtected);

// An access file's content, as its schema (access.proto) has it; what it means
// is AccessControl's to judge. Errors as of LoadSettings; keys without a value
// and empty lists are refused, too, since rights that name nothing allow all.
absl::StatusOr<config::v1::Access> ParseAccess(const ConfigFile& file);

// Reads a file of at most the size that LoadSettings accepts.
absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path);

// This process's environment variables. Nothing may change them meanwhile.
Environment ProcessEnvironment();

// The settings as a complete YAML file, from which LoadSettings makes them
// again, unless they are the demo's.
std::string ToYaml(const Settings& settings);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_CONFIG_H_
