// Puts what was refused into the delivery log, so many a second: a stranger
// must not fill the disk, nor push out what others would look for. What is left
// out is counted, in waggle_deliveries_unrecorded_total and in the next record.
//
// Deliveries that became an event, or are its duplicates, need none of it: the
// store records them with the event.
#ifndef WAGGLE_INGEST_DELIVERY_RECORDER_H_
#define WAGGLE_INGEST_DELIVERY_RECORDER_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rate_limiter.h"
#include "prometheus/counter.h"
#include "store/delivery_log.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// Thread-safe. Never blocks.
class DeliveryRecorder {
 public:
  // What is authentic has a limit of its own, as high, so that it is not lost
  // among what strangers send. 0 records nothing. `log`, `clock` and `metrics`
  // must outlive the recorder.
  DeliveryRecorder(uint32_t max_per_second, DeliveryLog& log,
                   const Clock& clock, Metrics& metrics);

  // Of a delivery without received_at that is now.
  void Record(v1::Delivery refused,
              RateLimiter::TimePoint now = std::chrono::steady_clock::now());

 private:
  DeliveryLog& log_;
  const Clock& clock_;
  // Tokens are records.
  RateLimiter records_;
  prometheus::Counter& unrecorded_total_;
  // Since the last record.
  std::atomic<uint64_t> unrecorded_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_INGEST_DELIVERY_RECORDER_H_
