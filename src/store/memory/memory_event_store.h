// An EventStore and DeliveryLog in memory, for tests: everything that the
// contracts promise but survival. Like the embedded store it commits groups on
// a thread of its own, so what is built on it meets the same order of events on
// the same kind of thread.
//
//   FakeClock clock;
//   MemoryEventStore store(clock);
//   store.Start([](absl::Span<const StoredEventPtr> events) { ... });
//   store.Append(...);
//
// Times are kept in microseconds. size_bytes is the sum of events and payloads.
#ifndef WAGGLE_STORE_MEMORY_MEMORY_EVENT_STORE_H_
#define WAGGLE_STORE_MEMORY_MEMORY_EVENT_STORE_H_

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "store/memory/memory_deliveries.h"

namespace waggle {

class MemoryEventStore final : public EventStore, public DeliveryLog {
 public:
  // `clock` must outlive the store.
  explicit MemoryEventStore(const Clock& clock);
  ~MemoryEventStore() override;

  const StoreId& id() const override { return id_; }
  StoreBounds Start(Tail tail) override;
  void Append(NewEvent event, AppendDone done) override;
  absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest& request) override;
  absl::StatusOr<StoredEventPtr> ReadById(std::string_view id,
                                          bool include_payload) override;
  absl::StatusOr<Sequence> PositionBefore(absl::Time time) override;
  StoreBounds Bounds() const override;
  absl::Status Writable() const override;
  absl::Status Trim(const RetentionLimits& limits) override;
  void Close() override;

  void FollowDeliveries(DeliveryTail tail) override;
  bool Record(v1::Delivery refused) override;
  absl::StatusOr<DeliveryPage> ListDeliveries(const v1::DeliveryFilter& filter,
                                              uint64_t before,
                                              size_t max) override;
  absl::StatusOr<v1::Delivery> ReadDelivery(uint64_t id) override;
  absl::StatusOr<std::vector<v1::Delivery>> DeliveriesOf(Sequence sequence,
                                                         size_t max) override;
  bool RecordStream(StreamRecord stream) override;
  bool RecordProgress(std::vector<StreamProgress> progress) override;
  absl::StatusOr<std::vector<StreamHandover>> Handovers(Sequence sequence,
                                                        absl::Time since,
                                                        absl::Time until,
                                                        size_t max) override;
  absl::Status TrimDeliveries(const DeliveryRetention& limits) override;

  // For tests of what waits: between the two, appends and records queue up and
  // nothing is committed. Close() resumes.
  void PauseCommits();
  void ResumeCommits();

  // For tests of a store that cannot write: until it is called with OK, appends
  // are refused with `status`, and Writable() gives it.
  void FailWith(absl::Status status);

 private:
  struct Pending {
    NewEvent event;
    AppendDone done;
    absl::Time appended_at;
  };
  using LogRecord = std::variant<v1::Delivery, StreamRecord, StreamProgress>;
  struct Work {
    std::vector<Pending> group;
    std::vector<LogRecord> log;
  };
  struct Row {
    StoredEventPtr event;  // with its payload
    std::string id;
    std::string retained_digest;  // empty if its identity is windowed
  };
  struct Identity {
    Sequence sequence;
    std::string id;
    absl::Time received_at;
  };

  bool Enqueue(std::vector<LogRecord> records) ABSL_LOCKS_EXCLUDED(mu_);
  void RunCommitter();
  Work TakeWork() ABSL_LOCKS_EXCLUDED(mu_);
  void Commit(Work work) ABSL_LOCKS_EXCLUDED(mu_);
  Appended Store(NewEvent event, std::vector<StoredEventPtr>& stored)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const Identity* FindFirst(const NewEvent& event) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  const StoreId id_;
  // Set before anything is appended or recorded.
  Tail tail_;
  DeliveryTail delivery_tail_;

  mutable Mutex mu_;
  CondVar work_;
  std::deque<Pending> queue_ ABSL_GUARDED_BY(mu_);
  std::vector<LogRecord> log_queue_ ABSL_GUARDED_BY(mu_);
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::deque<Row> rows_ ABSL_GUARDED_BY(mu_);  // by sequence, without gaps
  absl::flat_hash_map<std::string, Sequence> by_id_ ABSL_GUARDED_BY(mu_);
  // By digest. Windowed identities are never forgotten: tests are short.
  absl::flat_hash_map<std::string, Identity> windowed_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Identity> retained_ ABSL_GUARDED_BY(mu_);
  Sequence trimmed_through_ ABSL_GUARDED_BY(mu_);
  Sequence last_ ABSL_GUARDED_BY(mu_);
  absl::Time last_stored_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  uint64_t size_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  MemoryDeliveries deliveries_ ABSL_GUARDED_BY(mu_);

  std::thread committer_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_MEMORY_MEMORY_EVENT_STORE_H_
