#include "cli/progress_line.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

constexpr std::chrono::milliseconds kTerminalPause(500);
constexpr std::chrono::milliseconds kLinePause(10'000);

}  // namespace

ProgressLine::ProgressLine(bool terminal, Write write)
    : terminal_(terminal),
      pause_(terminal ? kTerminalPause : kLinePause),
      write_(std::move(write)) {}

bool ProgressLine::IsDue(std::chrono::steady_clock::time_point now) {
  if (last_.has_value() && now - *last_ < pause_) return false;
  return std::exchange(last_, now).has_value();
}

void ProgressLine::Show(const std::string& line) {
  shown_ = true;
  // To the first column, and whatever was there before is erased.
  write_(terminal_ ? absl::StrCat("\r", line, "\x1b[K")
                   : absl::StrCat(line, "\n"));
}

void ProgressLine::Finish(const std::string& line) {
  if (!shown_) return;
  Show(line);
  if (terminal_) write_("\n");
}

}  // namespace waggle
