// What happened in each ten seconds of the last hour, from counters that only
// ever grow.
//
//   RateHistory rates([&] { return totals; }, clock);
//   Periodic sampler(RateHistory::kStep, [&] { rates.Sample(); });
#ifndef WAGGLE_OPS_RATE_HISTORY_H_
#define WAGGLE_OPS_RATE_HISTORY_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "waggle/v1/gateway_service.pb.h"

namespace waggle {

// Thread-safe.
class RateHistory {
 public:
  static constexpr absl::Duration kStep = absl::Seconds(10);
  static constexpr size_t kPoints = 360;

  // `totals` gives what the counters show, in a point without its time.
  // `clock` must outlive the history.
  RateHistory(std::function<v1::RatePoint()> totals, const Clock& clock);

  // Adds a point; the first call only notes where the counters start. To be
  // called every kStep.
  void Sample();

  // Oldest first.
  std::vector<v1::RatePoint> Points() const;

 private:
  const std::function<v1::RatePoint()> totals_;
  const Clock& clock_;
  mutable Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  v1::RatePoint before_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::RatePoint> points_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_OPS_RATE_HISTORY_H_
