// The one connection that writes: inserts groups with what is recorded of them,
// trims, checkpoints. SQLite
// 3.7.0 to 3.51.2 can corrupt a database whose write-ahead log is checkpointed
// by one connection while another commits, so this one does both, and nobody
// else does either.
//
// Owned by the store's writer thread; the thread that opens it hands it over
// before that one starts. Errors:
//   RESOURCE_EXHAUSTED, UNAVAILABLE  nothing was changed; the disk is full, or
//                                    somebody else writes
//   all others                       the outcome is unknown: end the process
#ifndef WAGGLE_STORE_SQLITE_WRITE_CONNECTION_H_
#define WAGGLE_STORE_SQLITE_WRITE_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "event/cursor.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "store/sqlite/delivery_commits.h"
#include "store/sqlite/delivery_writer.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/windowed_identities.h"
#include "store/uuid.h"

namespace waggle {

// An append that waits for its commit. What does not need the writer was
// computed by the thread that appended.
struct PendingAppend {
  // Complete but for sequence, stored_at and the sequence field in the bytes,
  // for which there is room.
  std::shared_ptr<StoredEvent> event;
  std::string id;
  Uuid packed_id;
  absl::Time received_at;  // whole microseconds
  absl::Duration window;
  IdentityKey identity;
  // What is unique among the retained events; empty if `window` is finite.
  std::string retained_key;
  // CRC-32 of the payload and of the event without its sequence.
  uint32_t crc = 0;
  // What is to be recorded of it; null if nothing is. Not in place, since an
  // append is moved from one queue to another.
  std::shared_ptr<v1::Delivery> delivery;
  // The same by PackAccepted(), as it was appended.
  std::string packed_delivery;
  std::chrono::steady_clock::time_point appended_at;
  EventStore::AppendDone done;

  size_t bytes() const {
    return event->event.capacity() + event->payload.size() +
           packed_delivery.size();
  }
};

// Makes it of what was appended, without `done`; INVALID_ARGUMENT if the id is
// no UUID.
absl::StatusOr<PendingAppend> Prepare(NewEvent event);

struct WriterLimits {
  // The longest window that an identity is appended with, and the most of such
  // identities to hold.
  absl::Duration dedup_window;
  size_t max_windowed_identities;
  // Larger databases are opened without looking at every page.
  uint64_t max_checked_bytes;
};

class WriteConnection {
 public:
  // Opens an existing database: configures it, migrates it, checks it, and
  // takes what crashed processes left in the write-ahead log into it.
  // Everything that later calls rely on has been read back. `now` bounds the
  // windowed identities that are looked for.
  static absl::StatusOr<std::unique_ptr<WriteConnection>> Open(
      const std::string& path, const WriterLimits& limits, absl::Time now);

  WriteConnection(const WriteConnection&) = delete;
  WriteConnection& operator=(const WriteConnection&) = delete;

  const StoreId& store_id() const { return store_id_; }
  // What is in the database now.
  const StoreBounds& bounds() const { return bounds_; }

  struct Committed {
    std::vector<StoredEventPtr> stored;
    std::vector<Appended> answers;  // one for each of the group
    std::vector<DeliveryPtr> deliveries;
    // Of those among them that were stored.
    std::optional<DeliveryCommit> delivery_commit;
  };
  // One transaction, or none if there is nothing to write. Takes from the group
  // all but its `done`s, and of the records all deliveries, whatever the
  // outcome.
  absl::StatusOr<Committed> Commit(absl::Span<PendingAppend> group,
                                   absl::Span<LogRecord> records,
                                   absl::Time now);

  // Whether a commit is due for what the last one could not record of itself.
  bool HasUnwrittenCommits() const { return deliveries_.HasUnwrittenCommits(); }

  // Removes some of the oldest events: those stored before `oldest`, and as
  // long as the data is larger than `max_bytes`. Of that the delivery log and
  // the journal may take a quarter: beyond, their oldest rows go in place of
  // events. False if there was nothing to do.
  absl::StatusOr<bool> TrimStep(absl::Time oldest, uint64_t max_bytes);
  // The same for what is recorded.
  absl::StatusOr<bool> TrimDeliveriesStep(const DeliveryRetention& limits,
                                          absl::Time oldest);

  // Gives some free pages back to the file system if they are many; with
  // `thoroughly`, if there are any. False if there was nothing to do.
  absl::StatusOr<bool> VacuumStep(bool thoroughly);

  // OK if there is room to write.
  absl::Status TryWrite();

  // Takes the write-ahead log into the database if it is time to.
  absl::Status MaybeCheckpoint();
  // Takes all of it, as far as readers let it, for a database file that is
  // complete by itself and has given back what was vacuumed.
  absl::Status CheckpointAll();

  // Of the write-ahead log, as of the last commit.
  uint64_t wal_bytes() const;

 private:
  WriteConnection(sqlite::Database db, const WriterLimits& limits);

  absl::Status Configure();
  absl::Status CheckPages(uint64_t max_checked_bytes);
  absl::Status CheckNewestRows();
  absl::Status LoadWindow(absl::Time now);
  absl::Status PrepareStatements();
  absl::Status LoadState();
  absl::Status RenewIdOfCopy();

  // What a group adds while it is not committed.
  struct Draft;
  absl::StatusOr<Appended> Insert(PendingAppend& append, Draft& draft);
  absl::StatusOr<Appended> FindStored(const PendingAppend& append);
  absl::Status RecordStored(PendingAppend& append, const Appended& answer,
                            std::chrono::steady_clock::time_point start,
                            Committed& committed);
  static void Unrecord(const PendingAppend& append);
  absl::Status RemoveEvents(Sequence through, StoreBounds& bounds);
  // Calls `remove(bounds)`, which returns whether it removed something, in a
  // transaction that is committed if it did.
  template <typename Remove>
  absl::StatusOr<bool> TrimTransaction(const Remove& remove);
  absl::Status MeasureSize(StoreBounds& bounds);
  absl::StatusOr<absl::Time> OldestStoredAt();
  absl::Status Checkpoint(sqlite::CheckpointMode mode);

  sqlite::Database db_;
  sqlite::Statement insert_;
  sqlite::Statement find_by_id_;
  sqlite::Statement find_by_retained_key_;
  sqlite::Statement oldest_;
  sqlite::Statement delete_through_;
  sqlite::Statement set_trimmed_through_;
  sqlite::Statement page_count_;
  sqlite::Statement free_page_count_;
  DeliveryWriter deliveries_;

  StoreId store_id_{};
  StoreBounds bounds_;
  // What the next sequence comes after; beyond bounds_.last if events were
  // removed by other hands.
  Sequence last_assigned_;
  absl::Time last_stored_at_ = absl::InfinitePast();
  WindowedIdentities windowed_;
  int wal_frames_ = 0;
  // The length of the log at which it is time for a checkpoint.
  int checkpoint_at_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_WRITE_CONNECTION_H_
