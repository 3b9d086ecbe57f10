#include "cli/tail_subscriber.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/event_format.h"
#include "cli/io.h"
#include "config/values.h"

namespace waggle {
namespace {

// Storing a cursor waits for the disk twice. While there is more to read, that
// often is enough; repeated events are all that a crash can cost.
constexpr absl::Duration kStorePause = absl::Milliseconds(100);

}  // namespace

TailSubscriber::TailSubscriber(TailOptions options, Observer observer)
    : options_(options), observer_(std::move(observer)) {}

bool TailSubscriber::OnResponse(const v1::SubscribeResponse& response) {
  observer_.response(response);
  status_ = Print(response);
  if (status_.ok()) status_ = StoreCursor(response);
  return status_.ok() && !limit_reached();
}

void TailSubscriber::OnInterrupted(const StreamEnd& end, absl::Duration pause) {
  const absl::Duration rounded = absl::Ceil(pause, absl::Milliseconds(10));
  observer_.message(
      absl::StrCat(end.ok() ? "the gateway ended the stream" : end.ToString(),
                   "; again in ", DurationToText(rounded)));
}

absl::Status TailSubscriber::Finish() {
  WAGGLE_RETURN_IF_ERROR(status_);
  if (!pending_cursor_.has_value()) return absl::OkStatus();
  return options_.cursor_file->Store(*std::exchange(pending_cursor_, {}));
}

absl::Status TailSubscriber::Print(const v1::SubscribeResponse& response) {
  std::string text;
  if (options_.table && !std::exchange(heading_printed_, true)) {
    text = TableHeading();
  }
  for (const v1::Event& event : response.events()) {
    if (limit_reached()) break;
    ++printed_;
    text += options_.table ? ToTableLine(event) : ToJsonLine(event);
  }
  return WriteAll(options_.output, text);
}

absl::Status TailSubscriber::StoreCursor(
    const v1::SubscribeResponse& response) {
  if (options_.cursor_file == nullptr) return absl::OkStatus();
  const absl::Time now = absl::Now();
  if (!response.caught_up() && now - last_stored_ < kStorePause) {
    pending_cursor_ = response.cursor();
    return absl::OkStatus();
  }
  pending_cursor_.reset();
  last_stored_ = now;
  return options_.cursor_file->Store(response.cursor());
}

bool TailSubscriber::limit_reached() const {
  return options_.limit != 0 && printed_ >= options_.limit;
}

}  // namespace waggle
