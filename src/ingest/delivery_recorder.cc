#include "ingest/delivery_recorder.h"

#include <utility>

#include "event/proto_time.h"

namespace waggle {

DeliveryRecorder::DeliveryRecorder(uint32_t max_per_second, DeliveryLog& log,
                                   const Clock& clock, Metrics& metrics)
    : log_(log),
      clock_(clock),
      records_({.per_second = static_cast<double>(max_per_second),
                .burst = static_cast<double>(max_per_second)}),
      unrecorded_total_(metrics.Counter(
          "waggle_deliveries_unrecorded_total",
          "Refused webhooks that have no record in the delivery log, since too "
          "many were refused at once.")) {}

void DeliveryRecorder::Record(v1::Delivery refused,
                              RateLimiter::TimePoint now) {
  const bool authentic = !refused.key_fingerprint().empty();
  if (!records_.Take(authentic ? "authentic" : "", now)) {
    unrecorded_total_.Increment();
    ++unrecorded_;
    return;
  }
  if (!refused.has_received_at()) {
    *refused.mutable_received_at() = ToProto(clock_.Now());
  }
  const uint64_t before = unrecorded_.exchange(0);
  refused.set_unrecorded_before(before);
  if (!log_.Record(std::move(refused))) {
    unrecorded_total_.Increment();
    unrecorded_ += before + 1;
  }
}

}  // namespace waggle
