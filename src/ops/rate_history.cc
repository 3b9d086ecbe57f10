#include "ops/rate_history.h"

#include <utility>

#include "event/proto_time.h"

namespace waggle {

RateHistory::RateHistory(std::function<v1::RatePoint()> totals,
                         const Clock& clock)
    : totals_(std::move(totals)), clock_(clock) {}

void RateHistory::Sample() {
  const v1::RatePoint now = totals_();
  MutexLock lock(mu_);
  if (std::exchange(started_, true)) {
    v1::RatePoint& point = points_.emplace_back();
    *point.mutable_at() = ToProto(clock_.Now());
    point.set_accepted(now.accepted() - before_.accepted());
    point.set_duplicates(now.duplicates() - before_.duplicates());
    point.set_refused(now.refused() - before_.refused());
    point.set_delivered(now.delivered() - before_.delivered());
    if (points_.size() > kPoints) points_.pop_front();
  }
  before_ = now;
}

std::vector<v1::RatePoint> RateHistory::Points() const {
  MutexLock lock(mu_);
  return {points_.begin(), points_.end()};
}

}  // namespace waggle
