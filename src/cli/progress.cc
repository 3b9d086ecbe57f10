#include "cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/values.h"

namespace waggle {
namespace {

constexpr std::chrono::milliseconds kTerminalPause(500);
constexpr std::chrono::milliseconds kLinePause(10'000);

std::string Line(uint64_t events, double seconds) {
  return absl::StrFormat("%d events, %.0f a second", events,
                         static_cast<double>(events) / std::max(seconds, 1e-3));
}

}  // namespace

Progress::Progress(bool terminal, Write write)
    : terminal_(terminal),
      pause_(terminal ? kTerminalPause : kLinePause),
      write_(std::move(write)) {}

void Progress::Update(const v1::SubscribeResponse& response,
                      std::chrono::steady_clock::time_point now,
                      absl::Time wall) {
  if (caught_up_) return;
  if (events_ == 0) start_ = last_shown_ = now;
  events_ += static_cast<uint64_t>(response.events_size());
  caught_up_ = response.caught_up();
  if (!response.events().empty()) {
    reached_ = absl::FromUnixSeconds(
        response.events().rbegin()->received_at().seconds());
  }
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (caught_up_) {
    // Nothing was worth a line if it took no time.
    if (shown_) Show(absl::StrCat("caught up: ", Line(events_, seconds)));
    if (shown_ && terminal_) write_("\n");
    return;
  }
  if (events_ == 0 || now - last_shown_ < pause_) return;
  last_shown_ = now;
  const absl::Duration behind = std::max(
      absl::Trunc(wall - reached_, absl::Seconds(1)), absl::ZeroDuration());
  Show(absl::StrCat("catching up: ", Line(events_, seconds), ", ",
                    DurationToText(behind), " behind"));
}

void Progress::Show(const std::string& line) {
  shown_ = true;
  // To the first column, and whatever was there before is erased.
  write_(terminal_ ? absl::StrCat("\r", line, "\x1b[K")
                   : absl::StrCat(line, "\n"));
}

}  // namespace waggle
