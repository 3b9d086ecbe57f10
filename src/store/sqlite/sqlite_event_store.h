// The embedded store: events, the delivery log and the journal of streams in
// one SQLite database in a directory of its own, used by this process alone.
// Operators may read it with `sqlite3 -readonly`; nobody else may write or
// checkpoint it.
//
//   auto store = SqliteEventStore::Open({.directory = "waggle-data"}, clock,
//                                       metrics, [](absl::Status error) {
//                                         std::quick_exit(1); });
//   if (!store.ok()) ...              // says what to do about it
//   (*store)->Start(tail);
//
// Threads. One thread of the store's, the writer, owns the connection that
// writes, and with it every commit, trim and checkpoint. It takes what is
// queued (up to max_group), commits that as one transaction with one fsync, and
// then tells the tail and answers, in this order; it never waits for a group to
// fill up. What is recorded besides waits in a queue of its own: some of it
// goes along with each group, and what none takes along is committed within
// probe_interval. Pages are read on the callers' threads through a pool of
// connections; the writer never waits for them, but briefly when the
// write-ahead log has to start over. Every other member belongs to `mu_` or
// never changes.
//
// Locks: `mu_`, like that of recent_commits_, is held for moments only, never
// while SQLite runs, while a tail or an answer is called, or while another lock
// is taken.
//
// When the disk is full, or less than min_free_bytes are left, appends are
// refused with RESOURCE_EXHAUSTED, records are dropped, and reading goes on;
// the writer looks every probe_interval whether there is room again. After any
// other error of the medium nobody knows what is on it: `on_fatal` gets the
// error and should end the process, and the next start looks. Until then
// nothing is answered that may or may not have been stored.
//
// Trim()'s max_bytes holds for the whole file, of which the delivery log and
// the journal take a quarter at most: beyond, their oldest rows go before
// events. TrimDeliveries() also removes the oldest streams that ended once the
// filters of all take more than 64 MiB.
//
// Metrics: waggle_store_commit_seconds, waggle_store_commit_events,
// waggle_store_queue, waggle_store_wal_bytes, waggle_store_writable,
// waggle_store_free_bytes.
#ifndef WAGGLE_STORE_SQLITE_SQLITE_EVENT_STORE_H_
#define WAGGLE_STORE_SQLITE_SQLITE_EVENT_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "store/sqlite/data_directory.h"
#include "store/sqlite/delivery_commits.h"
#include "store/sqlite/delivery_writer.h"

namespace waggle {

class ReaderPool;
class WriteConnection;
struct PendingAppend;

struct SqliteOptions {
  // Made if it is missing. On a local file system.
  std::string directory;
  // Connections that read; as many pages can be read at once.
  int readers = 4;
  // The longest window of an identity, other than infinite, that is appended.
  // For as long, identities are remembered, also across restarts.
  absl::Duration dedup_window = absl::Minutes(10);
  // The most identities with a window to remember, about 90 bytes each: beyond,
  // the oldest are forgotten before their time.
  size_t max_windowed_identities = 2'000'000;
  // The most events in a commit: larger groups cost latency and gain little.
  size_t max_group = 64;
  // What may wait for a commit; beyond, appends are refused with UNAVAILABLE.
  size_t max_waiting_events = 8192;
  size_t max_waiting_bytes = 64 << 20;
  // What of records may wait; beyond, they are refused.
  size_t max_waiting_records = 65'536;
  size_t max_waiting_record_bytes = 16 << 20;
  // Appends are refused while the file system has less room than this, so that
  // there is some left to trim and to checkpoint with.
  uint64_t min_free_bytes = 64 << 20;
  // How often a store without room looks for some, and the longest that a
  // record waits for its commit.
  absl::Duration probe_interval = absl::Seconds(1);
  // Databases larger than this are opened without reading every page, which
  // takes about a second for each GiB from a warm cache.
  uint64_t max_checked_bytes = 512 << 20;
  // How much room there is; replaced by tests.
  std::function<absl::StatusOr<uint64_t>(const std::string& directory)>
      free_bytes = FreeBytes;
};

class SqliteEventStore final : public EventStore, public DeliveryLog {
 public:
  // Opens the directory's database, or makes it. Blocks while it is checked.
  // `clock` and `metrics` must outlive the store. `on_fatal` is called once, on
  // the writer thread. Errors, which all say what to do:
  //   FAILED_PRECONDITION  in use by another process; not ours; newer than this
  //                        program. The files were left alone.
  //   DATA_LOSS            damaged, or changed by other hands
  //   others               of the file system
  static absl::StatusOr<std::unique_ptr<SqliteEventStore>> Open(
      SqliteOptions options, const Clock& clock, Metrics& metrics,
      std::function<void(absl::Status)> on_fatal);

  ~SqliteEventStore() override;

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

 private:
  struct Instruments {
    explicit Instruments(Metrics& metrics);
    prometheus::Histogram& commit_seconds;
    prometheus::Histogram& commit_events;
    prometheus::Gauge& queue;
    prometheus::Gauge& wal_bytes;
    prometheus::Gauge& writable;
    prometheus::Gauge& free_bytes;
  };

  // A call of Trim() or TrimDeliveries(); lives on its caller's stack.
  struct TrimJob {
    // Removes some of what is due; false if nothing is.
    absl::AnyInvocable<absl::StatusOr<bool>()> step;
    bool removed = false;  // what is due; vacuuming is left
    bool finished = false;
    absl::Status result;
  };

  // What the writer thread does next; nothing of it if it is time to look for
  // room.
  struct Work {
    std::vector<PendingAppend> group;
    std::vector<LogRecord> records;
    TrimJob* trim = nullptr;
  };

  SqliteEventStore(SqliteOptions options, const Clock& clock, Metrics& metrics,
                   std::function<void(absl::Status)> on_fatal,
                   DataDirectory directory,
                   std::unique_ptr<WriteConnection> writer,
                   std::unique_ptr<ReaderPool> readers);

  absl::Status Enqueue(PendingAppend& append);
  bool EnqueueRecords(std::vector<LogRecord> records);
  absl::Status RunTrim(TrimJob& job);
  absl::Status WritableLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The writer thread's. Those that return a status do so for errors that end
  // it.
  void RunWriter();
  absl::Status WorkUntilClosing();
  bool WaitForWork(Work& work);
  absl::Status Commit(std::vector<PendingAppend> group,
                      std::vector<LogRecord> records);
  absl::Status AdvanceTrim(TrimJob& job);
  absl::Status LookForRoom();
  absl::Status Checkpoint();
  absl::Status CheckHeadroom() const;
  size_t KeepStreams(std::vector<LogRecord>& records);
  void NoteDropped(size_t records, const absl::Status& reason);
  void SetRoom(const absl::Status& room);
  void PublishBounds();
  void Finish(TrimJob& job, absl::Status result);
  void RefuseAll(const absl::Status& reason);
  void CloseFiles(bool checkpoint);

  const SqliteOptions options_;
  const Clock& clock_;
  const std::function<void(absl::Status)> on_fatal_;
  Instruments instruments_;
  // The writer thread's from its start on.
  std::optional<DataDirectory> directory_;  // until the files are closed
  std::unique_ptr<WriteConnection> writer_;
  std::chrono::steady_clock::time_point next_probe_;
  bool wal_is_large_ = false;
  bool dropping_records_ = false;
  const std::unique_ptr<ReaderPool> readers_;
  const StoreId id_;
  RecentDeliveryCommits recent_commits_;
  // Set before anything is appended or recorded.
  Tail tail_;
  DeliveryTail delivery_tail_;

  mutable Mutex mu_;
  CondVar work_;
  CondVar trim_finished_;
  std::deque<PendingAppend> queue_ ABSL_GUARDED_BY(mu_);
  size_t queue_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<LogRecord> records_ ABSL_GUARDED_BY(mu_);
  size_t record_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<TrimJob*> trims_ ABSL_GUARDED_BY(mu_);
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);  // ends the writer
  absl::Status room_ ABSL_GUARDED_BY(mu_);     // or why there is none
  StoreBounds bounds_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_SQLITE_EVENT_STORE_H_
