// A store whose reads a test counts, holds up or makes fail. Everything else is
// the store's below. Thread-safe.
#ifndef WAGGLE_TESTS_FAKES_INTERCEPTED_STORE_H_
#define WAGGLE_TESTS_FAKES_INTERCEPTED_STORE_H_

#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "store/event_store.h"

namespace waggle {

class InterceptedStore final : public EventStore {
 public:
  // `store` must outlive this.
  explicit InterceptedStore(EventStore& store) : store_(store) {}

  // Reads that began.
  int reads() const {
    MutexLock lock(mu_);
    return reads_;
  }

  // Returns once that many reads began.
  void WaitForReads(int count) const {
    MutexLock lock(mu_);
    while (reads_ < count) changed_.Wait(mu_);
  }

  // Reads that begin between the two wait for the second.
  void HoldReads() {
    MutexLock lock(mu_);
    held_ = true;
  }
  void ReleaseReads() {
    MutexLock lock(mu_);
    held_ = false;
    changed_.SignalAll();
  }

  // Until it is called with OK, reads fail with `status`.
  void FailReadsWith(absl::Status status) {
    MutexLock lock(mu_);
    failure_ = std::move(status);
  }

  const StoreId& id() const override { return store_.id(); }
  StoreBounds Start(Tail tail) override {
    return store_.Start(std::move(tail));
  }
  void Append(NewEvent event, AppendDone done) override {
    store_.Append(std::move(event), std::move(done));
  }
  absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest& request) override {
    if (absl::Status status = BeginRead(); !status.ok()) return status;
    return store_.ReadPage(request);
  }
  absl::StatusOr<StoredEventPtr> ReadById(std::string_view id,
                                          bool include_payload) override {
    if (absl::Status status = BeginRead(); !status.ok()) return status;
    return store_.ReadById(id, include_payload);
  }
  absl::StatusOr<Sequence> PositionBefore(absl::Time time) override {
    if (absl::Status status = BeginRead(); !status.ok()) return status;
    return store_.PositionBefore(time);
  }
  StoreBounds Bounds() const override { return store_.Bounds(); }
  absl::Status Writable() const override { return store_.Writable(); }
  absl::Status Trim(const RetentionLimits& limits) override {
    return store_.Trim(limits);
  }
  void Close() override { store_.Close(); }

 private:
  absl::Status BeginRead() {
    MutexLock lock(mu_);
    ++reads_;
    changed_.SignalAll();
    while (held_) changed_.Wait(mu_);
    return failure_;
  }

  EventStore& store_;
  mutable Mutex mu_;
  mutable CondVar changed_;
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_INTERCEPTED_STORE_H_
