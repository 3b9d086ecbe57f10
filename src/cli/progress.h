// The line that tells how far a long catching-up is: events so far, how many a
// second, and how far behind in time. On a terminal it is one line that
// changes; elsewhere a new line every ten seconds.
#ifndef WAGGLE_CLI_PROGRESS_H_
#define WAGGLE_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>

#include "absl/time/time.h"
#include "cli/progress_line.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

// Not thread-safe.
class Progress {
 public:
  Progress(bool terminal, ProgressLine::Write write);

  // To be called for every response, at steady time `now` and wall time `wall`.
  void Update(const v1::SubscribeResponse& response,
              std::chrono::steady_clock::time_point now, absl::Time wall);

 private:
  ProgressLine line_;
  bool caught_up_ = false;
  uint64_t events_ = 0;
  std::chrono::steady_clock::time_point start_;
  absl::Time reached_;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_PROGRESS_H_
