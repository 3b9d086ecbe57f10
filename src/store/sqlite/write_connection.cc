#include "store/sqlite/write_connection.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "event/proto_time.h"
#include "store/sequence_field.h"
#include "store/sqlite/accepted_deliveries.h"
#include "store/sqlite/checksum.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/values.h"

namespace waggle {
namespace {

using SteadyClock = std::chrono::steady_clock;
using sqlite::CheckpointMode;
using sqlite::Database;
using sqlite::Statement;
using sqlite::Transaction;

constexpr int64_t kFrameSize = kPageSize + 24;

// A checkpoint every so many pages of log: 16 MiB keeps the log in the page
// cache, and the many commits to one page cost one write to the database.
constexpr int kCheckpointFrames = (16 << 20) / kPageSize;
// From here on the log does not start over by itself, since some reader is
// always in the middle of it: wait for the readers, which are short.
constexpr int kRestartFrames = 4 * kCheckpointFrames;
constexpr int kCheckpointTimeoutMs = 250;
constexpr int kBusyTimeoutMs = 5000;

// One step of trimming: short, since appends wait for it.
constexpr int kTrimRows = 256;
constexpr uint64_t kTrimBytes = 4 << 20;
constexpr int kVacuumPages = 256;
constexpr int64_t kFreePagesKept = (16 << 20) / kPageSize;
// What part of the most bytes is the delivery log's and the journal's.
constexpr uint64_t kLogShare = 4;

// How far back contents are compared with their checksums at the start.
constexpr int kCheckedRows = 1000;
constexpr uint64_t kCheckedBytes = 64 << 20;

// A prefix that is not a UUID is cut: it only has to grow.
constexpr size_t kMaxPrefix = 32;

std::string MakeRetainedKey(std::string_view prefix, const IdentityKey& key) {
  const std::optional<Uuid> uuid = PackUuid(prefix);
  std::string bytes(uuid ? AsView(*uuid) : prefix.substr(0, kMaxPrefix));
  return bytes.append(AsView(key));
}

// Cut to what the tables hold.
absl::Duration ToMicros(SteadyClock::duration duration) {
  return absl::Trunc(absl::FromChrono(duration), absl::Microseconds(1));
}

// How long the append waited for a commit that began at `start`.
absl::Duration QueuedFor(const PendingAppend& append,
                         SteadyClock::time_point start) {
  return ToMicros(start - append.appended_at);
}

// For statements that have one row and one column.
absl::StatusOr<int64_t> RunForInt(Statement& statement) {
  const Statement::Scope scope(statement);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError("SQLite: a query has no row");
  return statement.Int(0);
}

}  // namespace

absl::StatusOr<PendingAppend> Prepare(NewEvent event) {
  const std::optional<Uuid> id = PackUuid(event.id);
  if (!id) return absl::InvalidArgumentError("the event's id is not a UUID");
  PendingAppend append;
  append.id = std::move(event.id);
  append.packed_id = *id;
  append.received_at =
      absl::FromUnixMicros(absl::ToUnixMicros(event.received_at));
  append.window = event.identity.window;
  append.identity = MakeIdentityKey(event.identity.digest);
  if (append.window == absl::InfiniteDuration()) {
    append.retained_key =
        MakeRetainedKey(event.identity.index_prefix, append.identity);
  }
  append.crc = Crc(Crc(0, event.payload), event.event);
  append.event = std::make_shared<StoredEvent>();
  append.event->event = std::move(event.event);
  append.event->event.reserve(append.event->event.size() + kMaxSequenceField);
  append.event->payload = std::move(event.payload);
  if (event.delivery != nullptr) {
    append.packed_delivery = PackAccepted(*event.delivery, append.id);
    append.delivery = std::move(event.delivery);
    append.appended_at = SteadyClock::now();
  }
  return append;
}

struct WriteConnection::Draft {
  StoreBounds bounds;
  Sequence last_assigned;
  absl::Time stored_at;
  std::vector<StoredEventPtr> stored;
  absl::flat_hash_map<IdentityKey, WindowedIdentities::First> windowed;
};

WriteConnection::WriteConnection(Database db, const WriterLimits& limits)
    : db_(std::move(db)),
      windowed_(limits.dedup_window, limits.max_windowed_identities),
      checkpoint_at_(kCheckpointFrames) {}

absl::StatusOr<std::unique_ptr<WriteConnection>> WriteConnection::Open(
    const std::string& path, const WriterLimits& limits, absl::Time now) {
  WAGGLE_ASSIGN_OR_RETURN(Database db,
                          Database::Open(path, sqlite::OpenMode::kReadWrite));
  WAGGLE_RETURN_IF_ERROR(CheckNotNewer(db));
  std::unique_ptr<WriteConnection> writer(
      new WriteConnection(std::move(db), limits));
  WAGGLE_RETURN_IF_ERROR(writer->Configure());
  WAGGLE_RETURN_IF_ERROR(Migrate(writer->db_));
  WAGGLE_RETURN_IF_ERROR(CheckSchema(writer->db_));
  WAGGLE_RETURN_IF_ERROR(writer->PrepareStatements());
  WAGGLE_RETURN_IF_ERROR(writer->CheckPages(limits.max_checked_bytes));
  WAGGLE_RETURN_IF_ERROR(writer->CheckNewestRows());
  WAGGLE_RETURN_IF_ERROR(writer->RenewIdOfCopy());
  WAGGLE_RETURN_IF_ERROR(writer->LoadState());
  WAGGLE_RETURN_IF_ERROR(writer->deliveries_.Open(writer->db_, now));
  WAGGLE_RETURN_IF_ERROR(writer->LoadWindow(now));
  // On a full disk the log just stays, and what is stored can be read.
  if (const absl::Status status = writer->CheckpointAll();
      !status.ok() && !absl::IsResourceExhausted(status)) {
    return status;
  }
  return writer;
}

absl::Status WriteConnection::Configure() {
  db_.SetBusyTimeout(kBusyTimeoutMs);
  WAGGLE_ASSIGN_OR_RETURN(const std::string mode,
                          db_.QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return absl::FailedPreconditionError(absl::StrCat(
        "SQLite cannot use a write-ahead log here (it uses \"", mode,
        "\"): the data directory must be on a local file system"));
  }
  // Memory-mapped I/O would turn an I/O error into SIGBUS. secure_delete=FAST
  // overwrites what is removed where that costs no writes of its own.
  WAGGLE_RETURN_IF_ERROR(
      db_.Execute("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
                  "PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=0; "
                  "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF; "
                  "PRAGMA secure_delete=FAST; PRAGMA cache_size=-16384;"));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t synchronous,
                          db_.QueryInt("PRAGMA synchronous"));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t page_size,
                          db_.QueryInt("PRAGMA page_size"));
  if (synchronous != 2 || page_size != kPageSize) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database has synchronous=", synchronous,
                     " and page_size=", page_size, ", not 2 and ", kPageSize));
  }
  db_.SetWalHook(
      [](void* self, int frames) {
        static_cast<WriteConnection*>(self)->wal_frames_ = frames;
      },
      this);
  return absl::OkStatus();
}

absl::Status WriteConnection::PrepareStatements() {
  const std::pair<Statement*, std::string_view> statements[] = {
      {&insert_,
       "INSERT INTO events (seq, stored_at, received_at, id, window_key, "
       "retained_key, crc, event, payload) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"},
      {&find_by_id_, "SELECT seq, id FROM events WHERE id = ?1"},
      {&find_by_retained_key_,
       "SELECT seq, id FROM events WHERE retained_key = ?1"},
      {&oldest_,
       "SELECT seq, stored_at, length(event) + length(payload) FROM events "
       "ORDER BY seq LIMIT ?1"},
      {&delete_through_, "DELETE FROM events WHERE seq <= ?1"},
      {&set_trimmed_through_, "UPDATE meta SET trimmed_through = ?1"},
      {&page_count_, "PRAGMA page_count"},
      {&free_page_count_, "PRAGMA freelist_count"},
  };
  for (const auto& [statement, sql] : statements) {
    WAGGLE_ASSIGN_OR_RETURN(*statement, db_.Prepare(sql));
  }
  return absl::OkStatus();
}

absl::Status WriteConnection::CheckPages(uint64_t max_checked_bytes) {
  WAGGLE_ASSIGN_OR_RETURN(const int64_t pages, RunForInt(page_count_));
  const uint64_t bytes = static_cast<uint64_t>(pages * kPageSize);
  if (bytes > max_checked_bytes) {
    Log(LogLevel::kInfo, "store_check_skipped",
        {{"reason", "the database is large; it would delay the start"},
         {"bytes", bytes},
         {"checked_up_to_bytes", max_checked_bytes}});
    return absl::OkStatus();
  }
  WAGGLE_ASSIGN_OR_RETURN(const std::string found,
                          db_.QueryText("PRAGMA quick_check(1)"));
  if (found == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the database is damaged, restore a backup: ", found));
}

absl::Status WriteConnection::CheckNewestRows() {
  WAGGLE_ASSIGN_OR_RETURN(
      Statement rows, db_.Prepare("SELECT seq, crc, payload, event FROM events "
                                  "ORDER BY seq DESC LIMIT ?1"));
  rows.BindInt(1, kCheckedRows);
  uint64_t bytes = 0;
  while (bytes < kCheckedBytes) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    const std::string_view payload = rows.Bytes(2);
    const std::string_view event = rows.Bytes(3);
    if (rows.Int(1) != int64_t{Crc(Crc(0, payload), event)}) {
      return absl::DataLossError(absl::StrCat(
          "the event with sequence ", rows.Int(0),
          " is not what was stored (its checksum differs): the medium is "
          "damaged, or somebody changed it. Restore a backup"));
    }
    bytes += payload.size() + event.size();
  }
  return absl::OkStatus();
}

// What is stored here from now on gets the sequences that the copied store has
// given to other events since, so it must not take that one's cursors.
absl::Status WriteConnection::RenewIdOfCopy() {
  WAGGLE_ASSIGN_OR_RETURN(const int64_t is_copy,
                          db_.QueryInt("SELECT is_copy FROM meta"));
  if (is_copy == 0) return absl::OkStatus();
  WAGGLE_RETURN_IF_ERROR(
      db_.Execute("UPDATE meta SET store_id = randomblob(16), is_copy = 0"));
  Log(LogLevel::kInfo, "store_restored",
      {{"effect",
        "the database is a backup: it is a new store now, and cursors from "
        "before the restore are refused with CURSOR_STORE_MISMATCH"}});
  return absl::OkStatus();
}

absl::Status WriteConnection::LoadState() {
  WAGGLE_ASSIGN_OR_RETURN(
      Statement meta,
      db_.Prepare("SELECT store_id, trimmed_through, "
                  "(SELECT coalesce(max(seq), 0) FROM events), "
                  "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence "
                  "WHERE name = 'events') FROM meta"));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, meta.Step());
  if (!row) return absl::DataLossError("the database's meta table is empty");
  WAGGLE_ASSIGN_OR_RETURN(store_id_, ToArray<StoreId>(meta.Bytes(0)));
  bounds_.trimmed_through = ToSequence(meta.Int(1));
  bounds_.last = ToSequence(std::max(meta.Int(1), meta.Int(2)));
  last_assigned_ = std::max(bounds_.last, ToSequence(meta.Int(3)));
  meta.Reset();
  WAGGLE_RETURN_IF_ERROR(MeasureSize(bounds_));
  WAGGLE_ASSIGN_OR_RETURN(bounds_.oldest_stored_at, OldestStoredAt());
  if (bounds_.oldest_stored_at == absl::InfiniteFuture()) {
    return absl::OkStatus();
  }
  WAGGLE_ASSIGN_OR_RETURN(
      const int64_t newest,
      db_.QueryInt("SELECT stored_at FROM events ORDER BY seq DESC LIMIT 1"));
  last_stored_at_ = absl::FromUnixMicros(newest);
  return absl::OkStatus();
}

absl::Status WriteConnection::LoadWindow(absl::Time now) {
  struct Loaded {
    IdentityKey key;
    WindowedIdentities::First first;
  };
  WAGGLE_ASSIGN_OR_RETURN(
      Statement rows,
      db_.Prepare("SELECT seq, stored_at, received_at, id, window_key "
                  "FROM events ORDER BY seq DESC"));
  // What arrives from now on is a duplicate only of what arrived, and so was
  // stored, after this.
  const absl::Time oldest = now - windowed_.window();
  std::vector<Loaded> newest_first;
  while (newest_first.size() < windowed_.max_size()) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row || absl::FromUnixMicros(rows.Int(1)) < oldest) break;
    if (rows.IsNull(4)) continue;
    Loaded loaded;
    loaded.first.sequence = ToSequence(rows.Int(0));
    loaded.first.received_at = absl::FromUnixMicros(rows.Int(2));
    WAGGLE_ASSIGN_OR_RETURN(loaded.first.id, ToArray<Uuid>(rows.Bytes(3)));
    WAGGLE_ASSIGN_OR_RETURN(loaded.key, ToArray<IdentityKey>(rows.Bytes(4)));
    newest_first.push_back(loaded);
  }
  std::reverse(newest_first.begin(), newest_first.end());
  for (const Loaded& loaded : newest_first) {
    windowed_.Add(loaded.key, loaded.first);
  }
  return absl::OkStatus();
}

absl::StatusOr<WriteConnection::Committed> WriteConnection::Commit(
    absl::Span<PendingAppend> group, absl::Span<LogRecord> records,
    absl::Time now) {
  const SteadyClock::time_point start = SteadyClock::now();
  Draft draft;
  draft.bounds = bounds_;
  draft.last_assigned = last_assigned_;
  draft.stored_at =
      std::max(last_stored_at_, absl::FromUnixMicros(absl::ToUnixMicros(now)));
  draft.stored.reserve(group.size());
  Committed committed;
  committed.answers.reserve(group.size());
  committed.deliveries.reserve(group.size() + records.size());
  deliveries_.BeginDraft(now);

  Transaction transaction(db_);
  WAGGLE_RETURN_IF_ERROR(transaction.Begin(Transaction::Kind::kWrite));
  const auto write = [&]() -> absl::Status {
    for (PendingAppend& append : group) {
      WAGGLE_ASSIGN_OR_RETURN(Appended answer, Insert(append, draft));
      WAGGLE_RETURN_IF_ERROR(RecordStored(append, answer, start, committed));
      committed.answers.push_back(std::move(answer));
    }
    for (LogRecord& record : records) {
      WAGGLE_RETURN_IF_ERROR(deliveries_.Add(record));
      if (auto* refused = std::get_if<v1::Delivery>(&record)) {
        committed.deliveries.push_back(
            std::make_shared<const v1::Delivery>(std::move(*refused)));
      }
    }
    WAGGLE_RETURN_IF_ERROR(deliveries_.FinishDraft(
        /*commits_are_due=*/group.empty() && records.empty()));
    if (draft.stored.empty() && !deliveries_.HasDraft()) {
      return transaction.Rollback();
    }
    WAGGLE_RETURN_IF_ERROR(MeasureSize(draft.bounds));
    return transaction.Commit();
  };
  if (absl::Status status = write(); !status.ok()) {
    WAGGLE_RETURN_IF_ERROR(transaction.Rollback());
    for (const PendingAppend& append : group) Unrecord(append);
    return status;
  }

  bounds_ = draft.bounds;
  last_assigned_ = draft.last_assigned;
  last_stored_at_ = draft.stored_at;
  for (const auto& [key, first] : draft.windowed) windowed_.Add(key, first);
  committed.stored = std::move(draft.stored);
  committed.delivery_commit =
      deliveries_.KeepDraft(ToMicros(SteadyClock::now() - start));
  if (committed.delivery_commit) {
    for (const PendingAppend& append : group) {
      if (append.delivery == nullptr) continue;
      *append.delivery->mutable_commit_duration() = ToProto(
          QueuedFor(append, start) + committed.delivery_commit->duration);
    }
  }
  return committed;
}

// Takes back what RecordStored() said of a delivery.
void WriteConnection::Unrecord(const PendingAppend& append) {
  if (append.delivery == nullptr) return;
  append.delivery->clear_id();
  append.delivery->clear_outcome();
  append.delivery->clear_event_id();
  append.delivery->clear_sequence();
}

absl::Status WriteConnection::RecordStored(PendingAppend& append,
                                           const Appended& answer,
                                           SteadyClock::time_point start,
                                           Committed& committed) {
  if (append.delivery == nullptr) return absl::OkStatus();
  v1::Delivery& delivery = *append.delivery;
  delivery.set_outcome(answer.duplicate ? v1::DELIVERY_OUTCOME_DUPLICATE
                                        : v1::DELIVERY_OUTCOME_ACCEPTED);
  delivery.set_event_id(answer.id);
  delivery.set_sequence(answer.sequence.value());
  const absl::Duration queued = QueuedFor(append, start);
  WAGGLE_RETURN_IF_ERROR(
      answer.duplicate
          ? deliveries_.AddDuplicate(delivery, PackUuid(answer.id).value(),
                                     queued)
          : deliveries_.AddAccepted(delivery, append.packed_delivery, queued));
  committed.deliveries.push_back(append.delivery);
  return absl::OkStatus();
}

absl::StatusOr<Appended> WriteConnection::Insert(PendingAppend& append,
                                                 Draft& draft) {
  const bool is_windowed = append.retained_key.empty();
  if (is_windowed) {
    const auto in_group = draft.windowed.find(append.identity);
    const WindowedIdentities::First* first =
        in_group != draft.windowed.end() ? &in_group->second
                                         : windowed_.Find(append.identity);
    if (first != nullptr && first->Holds(append.received_at, append.window)) {
      return Appended{first->sequence, UnpackUuid(first->id),
                      /*duplicate=*/true};
    }
  }

  StoredEvent& event = *append.event;
  event.sequence = draft.last_assigned.Next();
  event.stored_at = draft.stored_at;
  const size_t size = event.event.size();
  AppendSequenceField(event.sequence, event.event);
  const uint32_t crc =
      Crc(append.crc, std::string_view(event.event).substr(size));
  insert_.BindInt(1, ToInt(event.sequence));
  insert_.BindInt(2, absl::ToUnixMicros(event.stored_at));
  insert_.BindInt(3, absl::ToUnixMicros(append.received_at));
  insert_.BindBytes(4, AsView(append.packed_id));
  if (is_windowed) {
    insert_.BindBytes(5, AsView(append.identity));
  } else {
    insert_.BindBytes(6, append.retained_key);
  }
  insert_.BindInt(7, crc);
  insert_.BindBytes(8, event.event);
  insert_.BindBytes(9, event.payload);
  WAGGLE_RETURN_IF_ERROR(insert_.Run());
  if (db_.Changes() == 0) return FindStored(append);

  draft.last_assigned = event.sequence;
  draft.bounds.last = event.sequence;
  draft.bounds.oldest_stored_at =
      std::min(draft.bounds.oldest_stored_at, event.stored_at);
  if (is_windowed) {
    draft.windowed[append.identity] = {event.sequence, append.packed_id,
                                       append.received_at};
  }
  Appended answer{event.sequence, std::move(append.id), /*duplicate=*/false};
  draft.stored.push_back(std::move(append.event));
  return answer;
}

// What kept an event from being inserted.
absl::StatusOr<Appended> WriteConnection::FindStored(
    const PendingAppend& append) {
  const std::pair<Statement*, std::string_view> lookups[] = {
      {&find_by_retained_key_, append.retained_key},
      {&find_by_id_, AsView(append.packed_id)}};
  for (const auto& [statement, key] : lookups) {
    const Statement::Scope scope(*statement);
    statement->BindBytes(1, key);
    WAGGLE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) continue;
    WAGGLE_ASSIGN_OR_RETURN(const Uuid id, ToArray<Uuid>(statement->Bytes(1)));
    return Appended{ToSequence(statement->Int(0)), UnpackUuid(id),
                    /*duplicate=*/true};
  }
  return absl::InternalError("a new sequence is in use already");
}

absl::Status WriteConnection::MeasureSize(StoreBounds& bounds) {
  WAGGLE_ASSIGN_OR_RETURN(const int64_t pages, RunForInt(page_count_));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t free, RunForInt(free_page_count_));
  bounds.size_bytes = static_cast<uint64_t>((pages - free) * kPageSize);
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> WriteConnection::OldestStoredAt() {
  const Statement::Scope scope(oldest_);
  oldest_.BindInt(1, 1);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, oldest_.Step());
  return row ? absl::FromUnixMicros(oldest_.Int(1)) : absl::InfiniteFuture();
}

absl::StatusOr<bool> WriteConnection::TrimStep(absl::Time oldest,
                                               uint64_t max_bytes) {
  const uint64_t size = bounds_.size_bytes;
  const uint64_t excess =
      max_bytes > 0 && size > max_bytes ? size - max_bytes : 0;
  if (excess > 0 && deliveries_.size_bytes() > max_bytes / kLogShare) {
    WAGGLE_ASSIGN_OR_RETURN(const bool removed,
                            TrimTransaction([&](StoreBounds&) {
                              return deliveries_.TrimOldest();
                            }));
    if (removed) return true;
  }
  Sequence through = bounds_.trimmed_through;
  {
    const Statement::Scope scope(oldest_);
    oldest_.BindInt(1, kTrimRows);
    for (uint64_t bytes = 0; bytes < kTrimBytes;) {
      WAGGLE_ASSIGN_OR_RETURN(const bool row, oldest_.Step());
      if (!row) break;
      const bool too_old = absl::FromUnixMicros(oldest_.Int(1)) < oldest;
      if (!too_old && bytes >= excess) break;
      through = ToSequence(oldest_.Int(0));
      bytes += static_cast<uint64_t>(oldest_.Int(2));
    }
  }
  if (through == bounds_.trimmed_through) return false;
  return TrimTransaction([&](StoreBounds& bounds) -> absl::StatusOr<bool> {
    WAGGLE_RETURN_IF_ERROR(RemoveEvents(through, bounds));
    return true;
  });
}

absl::Status WriteConnection::RemoveEvents(Sequence through,
                                           StoreBounds& bounds) {
  delete_through_.BindInt(1, ToInt(through));
  WAGGLE_RETURN_IF_ERROR(delete_through_.Run());
  set_trimmed_through_.BindInt(1, ToInt(through));
  WAGGLE_RETURN_IF_ERROR(set_trimmed_through_.Run());
  bounds.trimmed_through = through;
  WAGGLE_ASSIGN_OR_RETURN(bounds.oldest_stored_at, OldestStoredAt());
  return absl::OkStatus();
}

absl::StatusOr<bool> WriteConnection::TrimDeliveriesStep(
    const DeliveryRetention& limits, absl::Time oldest) {
  return TrimTransaction(
      [&](StoreBounds&) { return deliveries_.Trim(limits, oldest); });
}

template <typename Remove>
absl::StatusOr<bool> WriteConnection::TrimTransaction(const Remove& remove) {
  Transaction transaction(db_);
  WAGGLE_RETURN_IF_ERROR(transaction.Begin(Transaction::Kind::kWrite));
  StoreBounds bounds = bounds_;
  deliveries_.BeginDraft(absl::InfinitePast());
  const auto commit = [&]() -> absl::StatusOr<bool> {
    WAGGLE_ASSIGN_OR_RETURN(const bool removed, remove(bounds));
    if (!removed) return false;
    WAGGLE_RETURN_IF_ERROR(MeasureSize(bounds));
    WAGGLE_RETURN_IF_ERROR(transaction.Commit());
    return true;
  };
  absl::StatusOr<bool> removed = commit();
  if (!removed.ok() || !*removed) {
    WAGGLE_RETURN_IF_ERROR(transaction.Rollback());
    return removed;
  }
  bounds_ = bounds;
  deliveries_.KeepDraft(absl::ZeroDuration());
  return true;
}

absl::StatusOr<bool> WriteConnection::VacuumStep(bool thoroughly) {
  WAGGLE_ASSIGN_OR_RETURN(const int64_t pages, RunForInt(page_count_));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t free, RunForInt(free_page_count_));
  // Free pages are taken by the next events, so in the ordinary run of things a
  // vacuum would only move pages about.
  const int64_t keep = thoroughly ? 0 : std::max(kFreePagesKept, pages / 4);
  if (free <= keep) return false;
  WAGGLE_RETURN_IF_ERROR(db_.Execute(
      absl::StrCat("PRAGMA incremental_vacuum(", kVacuumPages, ")")));
  return true;
}

absl::Status WriteConnection::TryWrite() {
  set_trimmed_through_.BindInt(1, ToInt(bounds_.trimmed_through));
  return set_trimmed_through_.Run();
}

absl::Status WriteConnection::MaybeCheckpoint() {
  if (wal_frames_ < checkpoint_at_ - kCheckpointFrames) {
    checkpoint_at_ = kCheckpointFrames;  // the log started over
  }
  if (wal_frames_ < checkpoint_at_) return absl::OkStatus();
  checkpoint_at_ = wal_frames_ + kCheckpointFrames;
  return Checkpoint(wal_frames_ < kRestartFrames ? CheckpointMode::kPassive
                                                 : CheckpointMode::kRestart);
}

absl::Status WriteConnection::CheckpointAll() {
  return Checkpoint(CheckpointMode::kTruncate);
}

absl::Status WriteConnection::Checkpoint(CheckpointMode mode) {
  // Appends wait meanwhile, so it does not wait for readers as long as a commit
  // would.
  db_.SetBusyTimeout(kCheckpointTimeoutMs);
  absl::Status status = db_.Checkpoint(mode).status();
  db_.SetBusyTimeout(kBusyTimeoutMs);
  return status;
}

uint64_t WriteConnection::wal_bytes() const {
  return static_cast<uint64_t>(wal_frames_ * kFrameSize);
}

}  // namespace waggle
