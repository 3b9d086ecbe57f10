#include "cli/report.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cli/io.h"

namespace waggle {
namespace {

std::string Line(std::string_view command, std::string_view message) {
  return absl::StrCat("waggle ", AsAbsl(command), ": ", AsAbsl(message), "\n");
}

}  // namespace

void Tell(std::string_view text) {
  WriteAll(STDERR_FILENO, text).IgnoreError();
}

ExitCode Fail(std::string_view command, const absl::Status& status) {
  const absl::string_view message = status.message();
  Tell(Line(command, {message.data(), message.size()}));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailure;
}

ExitCode Report(std::string_view command, const StreamEnd& end) {
  if (end.ok()) return kExitOk;
  Tell(Line(command, end.ToString()));
  if (end.reason == "CREDENTIALS_MISSING") {
    Tell("show who you are by --token-file, or by --tls-cert and --tls-key\n");
  }
  if (end.IsGap()) return kExitGap;
  return end.IsTransient() ? kExitFailure : kExitRefused;
}

}  // namespace waggle
