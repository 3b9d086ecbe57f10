// How every command tells people what went wrong: on standard error, in lines
// that begin with the command's name, with the exit code that goes with it.
#ifndef WAGGLE_CLI_REPORT_H_
#define WAGGLE_CLI_REPORT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cli/exit_codes.h"
#include "cli/stream_end.h"

namespace waggle {

// Writes to standard error, as it is.
void Tell(std::string_view text);

// Tells of an error of this side, and gives the exit code: kExitUsage for
// INVALID_ARGUMENT, which names a flag.
ExitCode Fail(std::string_view command, const absl::Status& status);

// Tells why a call ended, unless it ended well, and gives the exit code.
ExitCode Report(std::string_view command, const StreamEnd& end);

}  // namespace waggle

#endif  // WAGGLE_CLI_REPORT_H_
