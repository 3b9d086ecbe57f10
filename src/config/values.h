// How values are written in configuration files and on the command line. Every
// FromText function takes what its ToText gives, and returns INVALID_ARGUMENT
// that says what is allowed.
#ifndef WAGGLE_CONFIG_VALUES_H_
#define WAGGLE_CONFIG_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/settings.h"

namespace waggle {

// "500ms", "30s", "10m", "1h30m", "0s": finite and not negative.
absl::StatusOr<absl::Duration> DurationFromText(absl::string_view text);
std::string DurationToText(absl::Duration duration);

// "64KiB", "1MiB", "10GiB", "2TiB" or plain bytes.
absl::StatusOr<uint64_t> SizeFromText(absl::string_view text);
// In the largest unit that divides it.
std::string SizeToText(uint64_t bytes);

// "127.0.0.1:8080", "localhost:8080", "[::1]:8080", ":8080" (all interfaces).
// The way back is HostPort::ToString.
absl::StatusOr<HostPort> HostPortFromText(absl::string_view text);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_VALUES_H_
