// A delivery log that only takes records of what was refused, for a test to
// look at. Thread-safe.
#ifndef WAGGLE_TESTS_FAKES_RECORDED_DELIVERIES_H_
#define WAGGLE_TESTS_FAKES_RECORDED_DELIVERIES_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "store/delivery_log.h"

namespace waggle {

class RecordedDeliveries : public DeliveryLog {
 public:
  // In the order of recording.
  std::vector<v1::Delivery> all() const {
    MutexLock lock(mu_);
    return all_;
  }

  // Whether records that come are dropped.
  void SetFull(bool full) {
    MutexLock lock(mu_);
    full_ = full;
  }

  bool Record(v1::Delivery refused) override {
    MutexLock lock(mu_);
    if (!full_) all_.push_back(std::move(refused));
    return !full_;
  }

  void FollowDeliveries(DeliveryTail) override {}
  absl::StatusOr<DeliveryPage> ListDeliveries(const v1::DeliveryFilter&,
                                              uint64_t, size_t) override {
    return absl::UnimplementedError("takes records only");
  }
  absl::StatusOr<v1::Delivery> ReadDelivery(uint64_t) override {
    return absl::UnimplementedError("takes records only");
  }
  absl::StatusOr<std::vector<v1::Delivery>> DeliveriesOf(Sequence,
                                                         size_t) override {
    return absl::UnimplementedError("takes records only");
  }
  bool RecordStream(StreamRecord) override { return false; }
  bool RecordProgress(std::vector<StreamProgress>) override { return false; }
  absl::StatusOr<std::vector<StreamHandover>> Handovers(Sequence, absl::Time,
                                                        absl::Time,
                                                        size_t) override {
    return absl::UnimplementedError("takes records only");
  }
  absl::Status TrimDeliveries(const DeliveryRetention&) override {
    return absl::OkStatus();
  }

 private:
  mutable Mutex mu_;
  std::vector<v1::Delivery> all_ ABSL_GUARDED_BY(mu_);
  bool full_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_RECORDED_DELIVERIES_H_
