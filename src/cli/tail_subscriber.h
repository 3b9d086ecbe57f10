// What `waggle tail` does with responses: prints the events, then stores the
// cursor, so that no event that was not printed is ever passed over.
#ifndef WAGGLE_CLI_TAIL_SUBSCRIBER_H_
#define WAGGLE_CLI_TAIL_SUBSCRIBER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/cursor_file.h"
#include "cli/subscriber_client.h"

namespace waggle {

struct TailOptions {
  bool table = false;
  // Ends after so many events; 0 is no limit.
  uint64_t limit = 0;
  // Of what is printed. Borrowed.
  int output = 1;
  // Borrowed; may be null.
  CursorFile* cursor_file = nullptr;
};

class TailSubscriber final : public Subscriber {
 public:
  // Told of every response, for a progress line, and of every message for
  // people, which ends without a line feed.
  struct Observer {
    std::function<void(const v1::SubscribeResponse&)> response;
    std::function<void(const std::string&)> message;
  };

  TailSubscriber(TailOptions options, Observer observer);

  bool OnResponse(const v1::SubscribeResponse& response) override;
  void OnInterrupted(const StreamEnd& end, absl::Duration pause) override;

  // Stores the cursor of the last response, if that was put off. The first
  // error of printing or storing; CANCELLED if nobody reads the output.
  absl::Status Finish();

 private:
  absl::Status Print(const v1::SubscribeResponse& response);
  absl::Status StoreCursor(const v1::SubscribeResponse& response);
  bool limit_reached() const;

  const TailOptions options_;
  const Observer observer_;
  absl::Status status_;
  uint64_t printed_ = 0;
  bool heading_printed_ = false;
  // Behind everything that was printed, and not stored yet.
  std::optional<std::string> pending_cursor_;
  absl::Time last_stored_ = absl::InfinitePast();
};

}  // namespace waggle

#endif  // WAGGLE_CLI_TAIL_SUBSCRIBER_H_
