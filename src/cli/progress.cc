#include "cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/values.h"

namespace waggle {
namespace {

std::string Line(uint64_t events, double seconds) {
  return absl::StrFormat("%d events, %.0f a second", events,
                         static_cast<double>(events) / std::max(seconds, 1e-3));
}

}  // namespace

Progress::Progress(bool terminal, ProgressLine::Write write)
    : line_(terminal, std::move(write)) {}

void Progress::Update(const v1::SubscribeResponse& response,
                      std::chrono::steady_clock::time_point now,
                      absl::Time wall) {
  if (caught_up_) return;
  if (events_ == 0) start_ = now;
  events_ += static_cast<uint64_t>(response.events_size());
  caught_up_ = response.caught_up();
  if (!response.events().empty()) {
    reached_ = absl::FromUnixSeconds(
        response.events().rbegin()->received_at().seconds());
  }
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (caught_up_) {
    line_.Finish(absl::StrCat("caught up: ", Line(events_, seconds)));
    return;
  }
  if (events_ == 0 || !line_.IsDue(now)) return;
  const absl::Duration behind = std::max(
      absl::Trunc(wall - reached_, absl::Seconds(1)), absl::ZeroDuration());
  line_.Show(absl::StrCat("catching up: ", Line(events_, seconds), ", ",
                          DurationToText(behind), " behind"));
}

}  // namespace waggle
