// Writes the delivery log and the journal of streams, inside transactions that
// WriteConnection begins and ends:
//
//   writer.BeginDraft(now);
//   writer.AddAccepted(...); writer.AddDuplicate(...); writer.Add(...);
//   writer.FinishDraft(...);
//   ... COMMIT ...
//   writer.KeepDraft(duration);
//
// What it knows of the tables (the last id, how many rows there are, which
// streams are open) is in memory, and changes when the draft is kept: one that
// is not, since its transaction failed, is forgotten by the next BeginDraft().
//
// Not thread-safe. Errors are those of the connection.
#ifndef WAGGLE_STORE_SQLITE_DELIVERY_WRITER_H_
#define WAGGLE_STORE_SQLITE_DELIVERY_WRITER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/delivery_log.h"
#include "store/sqlite/delivery_commits.h"
#include "store/sqlite/sqlite.h"
#include "store/uuid.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// What waits to be recorded, in its order.
using LogRecord = std::variant<v1::Delivery, StreamRecord, StreamProgress>;

class DeliveryWriter {
 public:
  // Prepares itself over the tables of `db`, which must outlive it, and notes
  // that streams which an earlier process left open had ended by `now`.
  absl::Status Open(sqlite::Database& db, absl::Time now);

  void BeginDraft(absl::Time now);

  // A delivery that became an event, complete but for its id and
  // commit_duration, and as PackAccepted() made it; it waited that long for the
  // transaction. Gives it its id.
  absl::Status AddAccepted(v1::Delivery& delivery, std::string_view packed,
                           absl::Duration queued);
  // The same for a duplicate of the event with this id.
  absl::Status AddDuplicate(v1::Delivery& delivery, const Uuid& event_id,
                            absl::Duration queued);
  // Gives a refused delivery its id.
  absl::Status Add(LogRecord& record);

  // Whether the medium does not know of some of the commits before.
  bool HasUnwrittenCommits() const { return !unwritten_commits_.empty(); }
  // Writes what was added and is not written yet, and the commits before if
  // they are many or it is `commits_are_due`.
  absl::Status FinishDraft(bool commits_are_due);

  // Whether rows were added or removed.
  bool HasDraft() const { return draft_.changed; }
  // The transaction was committed, and took that long. Returns what is to be
  // remembered of it, if deliveries were stored.
  std::optional<DeliveryCommit> KeepDraft(absl::Duration duration);

  // Removes some of what is recorded from before `oldest` or is beyond the
  // limits, as part of the draft. False if there was nothing to do.
  absl::StatusOr<bool> Trim(const DeliveryRetention& limits, absl::Time oldest);
  // Removes some of the oldest, of what takes the most room.
  absl::StatusOr<bool> TrimOldest();

  // About how much room all of it takes.
  uint64_t size_bytes() const;

 private:
  struct Counts {
    int64_t stored = 0;  // accepted and duplicates
    int64_t accepted_ever = 0;
    int64_t refused = 0;
    int64_t commits = 0;
    int64_t progress = 0;
    int64_t streams = 0;
    int64_t filter_bytes = 0;  // of the streams
  };
  // In bytes.
  struct Sizes {
    int64_t deliveries;
    int64_t progress;
    int64_t streams;
  };
  struct OpenStream {
    int64_t number;
    int64_t through;
    int64_t filter_bytes;
  };
  // Accepted deliveries before they are written (accepted_deliveries.h).
  struct Run {
    int64_t first_id = 0;  // 0 if there is none
    int64_t last_id = 0;
    int64_t first_sequence = 0;
    absl::Time received_at;  // the last of them

    int64_t size() const { return last_id - first_id + 1; }
  };
  struct OldestRun {
    int64_t first_id;
    int64_t last_id;
    absl::Time recorded_at;
  };
  struct Draft {
    bool changed = false;
    bool wrote_commits = false;
    absl::Time recorded_at;
    int64_t last_id = 0;
    // Of the deliveries stored by it; 0 if none were.
    int64_t first_stored_id = 0;
    int64_t last_stored_id = 0;
    // Not written yet; its bytes are in run_bytes_.
    Run run;
    int64_t removed_stored_id = 0;
    Counts counts;
    // What changes in open_streams_; nothing of a stream that ended.
    absl::flat_hash_map<Uuid, std::optional<OpenStream>> streams;
  };

  absl::Status PrepareStatements(sqlite::Database& db);
  absl::Status LoadState(sqlite::Database& db);
  absl::Status EndStreamsLeftOpen(sqlite::Database& db, absl::Time now);

  void GiveId(v1::Delivery& delivery);
  void NoteStored();
  absl::Status Insert(v1::Delivery& delivery, const Uuid* event_id,
                      std::optional<absl::Duration> queued);
  absl::Status WriteRun();
  absl::Status WriteCommits();
  absl::Status Write(const StreamRecord& stream);
  absl::Status Write(const StreamProgress& progress);
  std::optional<OpenStream> FindOpen(const Uuid& stream_id) const;

  static Sizes Measure(const Counts& counts);

  // Each returns how many it removed: up to a step's worth from before
  // `oldest`, or of commits without deliveries,
  absl::StatusOr<int64_t> RemoveOldestDeliveries(absl::Time oldest);
  absl::StatusOr<int64_t> RemoveCommits();
  // the oldest `most`, with the last row of accepted ones maybe some more,
  absl::StatusOr<int64_t> RemoveStored(int64_t most);
  // or the oldest `rows` of a kind, as far as they are from before a time.
  absl::StatusOr<int64_t> RemoveRefused(int64_t rows);
  absl::StatusOr<int64_t> RemoveProgress(int64_t rows, absl::Time before);
  absl::StatusOr<int64_t> RemoveStreams(int64_t rows, absl::Time before);
  // Removes in the order of ids until there are `most`, or some more: runs, as
  // far as they are from before a time, and of other deliveries what
  // remove_rows(most, below_id) removes and counts.
  template <typename RemoveRows>
  absl::StatusOr<int64_t> RemoveInOrder(int64_t most, absl::Time before,
                                        const RemoveRows& remove_rows);
  absl::StatusOr<std::optional<OldestRun>> FindOldestRun();
  absl::StatusOr<int64_t> RemoveRun(const OldestRun& run);
  // Runs what removes, and calls `note` for each row that it returns.
  template <typename NoteRow>
  absl::StatusOr<int64_t> Remove(sqlite::Statement& statement,
                                 const NoteRow& note);
  void NoteRemovedStored(int64_t id, int64_t count);
  absl::Status NoteRemovedDeliveries();

  sqlite::Statement insert_;
  sqlite::Statement insert_run_;
  sqlite::Statement insert_commit_;
  sqlite::Statement write_stream_;
  sqlite::Statement insert_progress_;
  sqlite::Statement remove_oldest_;
  sqlite::Statement remove_stored_;
  sqlite::Statement oldest_run_;
  sqlite::Statement remove_run_;
  sqlite::Statement remove_refused_;
  sqlite::Statement remove_progress_;
  sqlite::Statement remove_streams_;
  sqlite::Statement remove_commits_;
  sqlite::Statement set_last_id_;

  int64_t last_id_ = 0;
  absl::Time recorded_at_ = absl::InfinitePast();
  // Those that were stored go in the order of their ids: all up to this have.
  int64_t removed_stored_id_ = 0;
  Counts counts_;
  absl::flat_hash_map<Uuid, OpenStream> open_streams_;
  std::vector<DeliveryCommit> unwritten_commits_;
  std::string run_bytes_;
  Draft draft_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_DELIVERY_WRITER_H_
