#include "store/sqlite/delivery_writer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "event/proto_time.h"
#include "store/sqlite/accepted_deliveries.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/values.h"

namespace waggle {
namespace {

using sqlite::Database;
using sqlite::Statement;

// One step of trimming: short, since appends wait for it.
constexpr int64_t kTrimRows = 256;

// The most bytes of accepted deliveries in a row, if they are more than one. Of
// larger ones than a quarter of a page, each can leave a page half empty.
constexpr size_t kMaxRunBytes = kPageSize / 4 - 70;

// About what a record takes, with its part of what a page has to spare, and a
// row with its entries in indexes.
constexpr int64_t kStoredBytes = 290;
constexpr int64_t kRefusedBytes = 230;
constexpr int64_t kCommitBytes = 40;
constexpr int64_t kProgressBytes = 56;
constexpr int64_t kStreamBytes = 256;  // and its filters

// The most that the filters of streams take before the oldest that ended go,
// and what those of one stream can be.
constexpr int64_t kMaxFilterBytes = 64 << 20;
constexpr int64_t kLargeFilters = 64 << 10;

// So many are written at once.
constexpr size_t kCommitsAtOnce = 64;

int64_t ToMicros(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1'000'000 + duration.nanos() / 1000;
}

}  // namespace

absl::Status DeliveryWriter::Open(Database& db, absl::Time now) {
  WAGGLE_RETURN_IF_ERROR(PrepareStatements(db));
  WAGGLE_RETURN_IF_ERROR(LoadState(db));
  // On a full disk they stay open until a start that finds room.
  const absl::Status status = EndStreamsLeftOpen(db, now);
  return absl::IsResourceExhausted(status) ? absl::OkStatus() : status;
}

absl::Status DeliveryWriter::PrepareStatements(Database& db) {
  const std::pair<Statement*, std::string_view> statements[] = {
      {&insert_,
       "INSERT INTO deliveries (id, recorded_at, received_at, outcome, "
       "http_status, endpoint, path, remote_address, size_bytes, read_us, "
       "verify_us, queue_us, key_fingerprint, sequence, event_id, type_name, "
       "connector_id, traceparent, unrecorded_before) VALUES (?1, ?2, ?3, ?4, "
       "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"},
      {&insert_run_,
       "INSERT INTO accepted_deliveries (first_id, last_id, first_sequence, "
       "accepted_before, recorded_at, received_at, deliveries) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
      {&insert_commit_,
       "INSERT INTO delivery_commits (first_id, last_id, commit_us) "
       "VALUES (?1, ?2, ?3)"},
      {&write_stream_,
       "INSERT INTO streams (stream_id, principal, remote_address, after, "
       "through, started_at, ended_at, gone_at, filters) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
       "ON CONFLICT (stream_id) DO UPDATE SET principal = ?2, "
       "remote_address = ?3, after = ?4, through = ?5, started_at = ?6, "
       "ended_at = ?7, gone_at = ?8, filters = ?9 RETURNING id"},
      {&insert_progress_,
       "INSERT INTO stream_progress (stream, through, at) VALUES (?1, ?2, ?3)"},
      // The oldest ?1 of each kind, of those deliveries whose ids are below ?2.
      {&remove_oldest_,
       "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries "
       "WHERE id < ?2 ORDER BY id LIMIT ?1) AND recorded_at < ?3 "
       "RETURNING id, sequence IS NULL"},
      {&remove_stored_,
       "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries "
       "NOT INDEXED WHERE id > ?3 AND id < ?2 AND sequence IS NOT NULL "
       "ORDER BY id LIMIT ?1) RETURNING id"},
      {&oldest_run_,
       "SELECT first_id, last_id, recorded_at FROM accepted_deliveries "
       "ORDER BY first_id LIMIT 1"},
      {&remove_run_, "DELETE FROM accepted_deliveries WHERE first_id = ?1"},
      {&remove_refused_,
       "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries "
       "INDEXED BY deliveries_refused WHERE sequence IS NULL ORDER BY id "
       "LIMIT ?1) RETURNING id"},
      {&remove_progress_,
       "DELETE FROM stream_progress WHERE id IN (SELECT id FROM "
       "stream_progress ORDER BY id LIMIT ?1) AND at < ?2 RETURNING id"},
      {&remove_streams_,
       "DELETE FROM streams WHERE id IN (SELECT id FROM streams "
       "WHERE gone_at < ?2 ORDER BY gone_at LIMIT ?1) "
       "RETURNING length(filters)"},
      {&remove_commits_,
       "DELETE FROM delivery_commits WHERE first_id IN (SELECT first_id "
       "FROM delivery_commits ORDER BY first_id LIMIT ?1) "
       "AND last_id <= ?2 RETURNING first_id"},
      {&set_last_id_, "UPDATE meta SET last_delivery_id = ?1"},
  };
  for (const auto& [statement, sql] : statements) {
    WAGGLE_ASSIGN_OR_RETURN(*statement, db.Prepare(sql));
  }
  return absl::OkStatus();
}

absl::Status DeliveryWriter::LoadState(Database& db) {
  int64_t recorded_at = 0;
  int64_t first_row = 0;
  int64_t first_run = 0;
  const std::pair<int64_t*, std::string_view> queries[] = {
      {&last_id_,
       "SELECT max(last_delivery_id, "
       "coalesce((SELECT max(id) FROM deliveries), 0), "
       "coalesce((SELECT last_id FROM accepted_deliveries "
       "ORDER BY first_id DESC LIMIT 1), 0)) FROM meta"},
      {&recorded_at,
       "SELECT max(coalesce((SELECT recorded_at FROM deliveries "
       "ORDER BY id DESC LIMIT 1), 0), coalesce((SELECT recorded_at FROM "
       "accepted_deliveries ORDER BY first_id DESC LIMIT 1), 0))"},
      {&first_row,
       "SELECT coalesce((SELECT id FROM deliveries NOT INDEXED "
       "WHERE sequence IS NOT NULL AND id < coalesce((SELECT min(first_id) "
       "FROM accepted_deliveries), 9223372036854775807) ORDER BY id LIMIT 1), "
       "9223372036854775807)"},
      {&first_run,
       "SELECT coalesce(min(first_id), 9223372036854775807) "
       "FROM accepted_deliveries"},
      {&counts_.accepted_ever,
       "SELECT coalesce((SELECT accepted_before + last_id - first_id + 1 FROM "
       "accepted_deliveries ORDER BY first_id DESC LIMIT 1), 0)"},
      // Rows can be millions, so those of the runs are not counted one by one.
      {&counts_.stored,
       "SELECT count(*) - coalesce((SELECT accepted_before FROM "
       "accepted_deliveries ORDER BY first_id LIMIT 1), 0) FROM deliveries "
       "INDEXED BY deliveries_stored WHERE sequence IS NOT NULL"},
      {&counts_.refused,
       "SELECT count(*) FROM deliveries INDEXED BY deliveries_refused "
       "WHERE sequence IS NULL"},
      {&counts_.commits, "SELECT count(*) FROM delivery_commits"},
      {&counts_.progress, "SELECT count(*) FROM stream_progress"},
      {&counts_.streams, "SELECT count(*) FROM streams"},
      {&counts_.filter_bytes,
       "SELECT coalesce(sum(length(filters)), 0) FROM streams"},
  };
  for (const auto& [value, sql] : queries) {
    WAGGLE_ASSIGN_OR_RETURN(*value, db.QueryInt(sql));
  }
  recorded_at_ = absl::FromUnixMicros(recorded_at);
  removed_stored_id_ = std::min({first_row - 1, first_run - 1, last_id_});
  counts_.stored += counts_.accepted_ever;
  return absl::OkStatus();
}

absl::Status DeliveryWriter::EndStreamsLeftOpen(Database& db, absl::Time now) {
  WAGGLE_ASSIGN_OR_RETURN(
      const int64_t open,
      db.QueryInt("SELECT count(*) FROM streams WHERE gone_at IS NULL"));
  if (open == 0) return absl::OkStatus();
  return db.Execute(absl::StrCat(
      "UPDATE streams SET through = progress.through FROM (SELECT stream, "
      "max(through) AS through FROM stream_progress GROUP BY stream) "
      "AS progress WHERE streams.id = progress.stream AND gone_at IS NULL; "
      "UPDATE streams SET through = coalesce(through, after), gone_at = ",
      absl::ToUnixMicros(now), " WHERE gone_at IS NULL"));
}

void DeliveryWriter::BeginDraft(absl::Time now) {
  draft_ = Draft();
  run_bytes_.clear();
  draft_.recorded_at = std::max(recorded_at_, now);
  draft_.last_id = last_id_;
  draft_.removed_stored_id = removed_stored_id_;
  draft_.counts = counts_;
}

absl::Status DeliveryWriter::AddAccepted(v1::Delivery& delivery,
                                         std::string_view packed,
                                         absl::Duration queued) {
  GiveId(delivery);
  Run& run = draft_.run;
  const int64_t sequence = ToInt(delivery.sequence());
  if (run.first_id == 0 || run.last_id + 1 != draft_.last_id ||
      run.first_sequence + run.size() != sequence ||
      run_bytes_.size() + packed.size() > kMaxRunBytes) {
    WAGGLE_RETURN_IF_ERROR(WriteRun());
    run.first_id = draft_.last_id;
    run.first_sequence = sequence;
  }
  run.last_id = draft_.last_id;
  run.received_at = ToTime(delivery.received_at());
  waggle::AddAccepted(packed, queued, run_bytes_);
  ++draft_.counts.accepted_ever;
  NoteStored();
  return absl::OkStatus();
}

absl::Status DeliveryWriter::AddDuplicate(v1::Delivery& delivery,
                                          const Uuid& event_id,
                                          absl::Duration queued) {
  GiveId(delivery);
  NoteStored();
  return Insert(delivery, &event_id, queued);
}

void DeliveryWriter::GiveId(v1::Delivery& delivery) {
  delivery.set_id(static_cast<uint64_t>(++draft_.last_id));
  draft_.changed = true;
}

// Of the delivery with the last id.
void DeliveryWriter::NoteStored() {
  if (draft_.first_stored_id == 0) draft_.first_stored_id = draft_.last_id;
  draft_.last_stored_id = draft_.last_id;
  ++draft_.counts.stored;
}

absl::Status DeliveryWriter::Add(LogRecord& record) {
  if (const auto* stream = std::get_if<StreamRecord>(&record)) {
    return Write(*stream);
  }
  if (const auto* progress = std::get_if<StreamProgress>(&record)) {
    return Write(*progress);
  }
  auto& refused = std::get<v1::Delivery>(record);
  GiveId(refused);
  ++draft_.counts.refused;
  return Insert(refused, /*event_id=*/nullptr, /*queued=*/std::nullopt);
}

absl::Status DeliveryWriter::Insert(v1::Delivery& delivery,
                                    const Uuid* event_id,
                                    std::optional<absl::Duration> queued) {
  insert_.BindInt(1, draft_.last_id);
  insert_.BindInt(2, absl::ToUnixMicros(draft_.recorded_at));
  insert_.BindInt(3, absl::ToUnixMicros(ToTime(delivery.received_at())));
  insert_.BindInt(4, delivery.outcome());
  insert_.BindInt(5, delivery.http_status());
  insert_.BindText(6, delivery.endpoint());
  insert_.BindText(7, delivery.path());
  insert_.BindText(8, delivery.remote_address());
  insert_.BindInt(9, ToInt(delivery.size_bytes()));
  if (delivery.has_read_duration()) {
    insert_.BindInt(10, ToMicros(delivery.read_duration()));
  }
  if (delivery.has_verify_duration()) {
    insert_.BindInt(11, ToMicros(delivery.verify_duration()));
  }
  if (queued) insert_.BindInt(12, absl::ToInt64Microseconds(*queued));
  insert_.BindText(13, delivery.key_fingerprint());
  if (event_id != nullptr) {
    insert_.BindInt(14, ToInt(delivery.sequence()));
    insert_.BindBytes(15, AsView(*event_id));
  }
  insert_.BindText(16, delivery.type_name());
  insert_.BindText(17, delivery.connector_id());
  insert_.BindText(18, delivery.traceparent());
  insert_.BindInt(19, ToInt(delivery.unrecorded_before()));
  return insert_.Run();
}

absl::Status DeliveryWriter::Write(const StreamRecord& stream) {
  const Uuid stream_id = PackUuid(stream.stream_id).value();
  const std::optional<OpenStream> known = FindOpen(stream_id);
  const int64_t after = ToInt(stream.after);
  const int64_t through = known ? known->through : after;
  write_stream_.BindBytes(1, AsView(stream_id));
  write_stream_.BindText(2, stream.principal);
  write_stream_.BindText(3, stream.remote_address);
  write_stream_.BindInt(4, after);
  write_stream_.BindInt(6, absl::ToUnixMicros(stream.started_at));
  if (!stream.open()) {
    write_stream_.BindInt(5, through);
    write_stream_.BindInt(7, absl::ToUnixMicros(stream.ended_at));
    write_stream_.BindInt(
        8, absl::ToUnixMicros(std::min(stream.ended_at, draft_.recorded_at)));
  }
  write_stream_.BindBytes(9, stream.filters);
  draft_.changed = true;
  const Statement::Scope scope(write_stream_);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, write_stream_.Step());
  if (!row) return absl::InternalError("SQLite: a stream was not written");
  const int64_t number = write_stream_.Int(0);
  // What the statement changes is complete only after its last step.
  WAGGLE_RETURN_IF_ERROR(write_stream_.Step().status());
  const int64_t filter_bytes = ToInt(stream.filters.size());
  if (!known) ++draft_.counts.streams;
  draft_.counts.filter_bytes +=
      filter_bytes - (known ? known->filter_bytes : 0);
  draft_.streams[stream_id] =
      stream.open() ? std::optional(OpenStream{number, through, filter_bytes})
                    : std::nullopt;
  return absl::OkStatus();
}

absl::Status DeliveryWriter::Write(const StreamProgress& progress) {
  const std::optional<Uuid> stream_id = PackUuid(progress.stream_id);
  std::optional<OpenStream> stream;
  if (stream_id) stream = FindOpen(*stream_id);
  if (!stream) return absl::OkStatus();
  const int64_t through = ToInt(progress.through);
  stream->through = std::max(stream->through, through);
  draft_.streams[*stream_id] = stream;
  draft_.changed = true;
  ++draft_.counts.progress;
  insert_progress_.BindInt(1, stream->number);
  insert_progress_.BindInt(2, through);
  insert_progress_.BindInt(3, absl::ToUnixMicros(progress.at));
  return insert_progress_.Run();
}

std::optional<DeliveryWriter::OpenStream> DeliveryWriter::FindOpen(
    const Uuid& stream_id) const {
  const auto changed = draft_.streams.find(stream_id);
  if (changed != draft_.streams.end()) return changed->second;
  const auto open = open_streams_.find(stream_id);
  if (open == open_streams_.end()) return std::nullopt;
  return open->second;
}

absl::Status DeliveryWriter::FinishDraft(bool commits_are_due) {
  WAGGLE_RETURN_IF_ERROR(WriteRun());
  return commits_are_due || unwritten_commits_.size() >= kCommitsAtOnce
             ? WriteCommits()
             : absl::OkStatus();
}

absl::Status DeliveryWriter::WriteRun() {
  Run& run = draft_.run;
  if (run.first_id == 0) return absl::OkStatus();
  insert_run_.BindInt(1, run.first_id);
  insert_run_.BindInt(2, run.last_id);
  insert_run_.BindInt(3, run.first_sequence);
  insert_run_.BindInt(4, draft_.counts.accepted_ever - run.size());
  insert_run_.BindInt(5, absl::ToUnixMicros(draft_.recorded_at));
  insert_run_.BindInt(6, absl::ToUnixMicros(run.received_at));
  insert_run_.BindBytes(7, run_bytes_);
  WAGGLE_RETURN_IF_ERROR(insert_run_.Run());
  run = Run();
  run_bytes_.clear();
  return absl::OkStatus();
}

absl::Status DeliveryWriter::WriteCommits() {
  for (const DeliveryCommit& commit : unwritten_commits_) {
    draft_.changed = true;
    draft_.wrote_commits = true;
    ++draft_.counts.commits;
    insert_commit_.BindInt(1, commit.first_id);
    insert_commit_.BindInt(2, commit.last_id);
    insert_commit_.BindInt(3, absl::ToInt64Microseconds(commit.duration));
    WAGGLE_RETURN_IF_ERROR(insert_commit_.Run());
  }
  return absl::OkStatus();
}

std::optional<DeliveryCommit> DeliveryWriter::KeepDraft(
    absl::Duration duration) {
  recorded_at_ = draft_.recorded_at;
  last_id_ = draft_.last_id;
  removed_stored_id_ = draft_.removed_stored_id;
  counts_ = draft_.counts;
  for (const auto& [stream_id, stream] : draft_.streams) {
    if (stream) {
      open_streams_[stream_id] = *stream;
    } else {
      open_streams_.erase(stream_id);
    }
  }
  if (draft_.wrote_commits) unwritten_commits_.clear();
  std::optional<DeliveryCommit> commit;
  if (draft_.first_stored_id != 0) {
    commit = DeliveryCommit{draft_.first_stored_id, draft_.last_stored_id,
                            absl::Trunc(duration, absl::Microseconds(1))};
    unwritten_commits_.push_back(*commit);
  }
  draft_ = Draft();
  return commit;
}

absl::StatusOr<bool> DeliveryWriter::Trim(const DeliveryRetention& limits,
                                          absl::Time oldest) {
  const Counts& counts = draft_.counts;
  const auto excess = [](int64_t count, uint64_t max) {
    return std::clamp<int64_t>(count - ToInt(max), 0, kTrimRows);
  };
  const int64_t progress = excess(counts.progress, limits.max_progress);
  const int64_t filter_bytes = counts.filter_bytes - kMaxFilterBytes;
  const int64_t streams = std::max(
      excess(counts.streams, limits.max_progress),
      std::clamp<int64_t>((filter_bytes + kLargeFilters - 1) / kLargeFilters, 0,
                          kTrimRows));
  // A step's worth of the first kind that is due; streams after their progress.
  WAGGLE_ASSIGN_OR_RETURN(int64_t removed, RemoveOldestDeliveries(oldest));
  if (removed == 0) {
    WAGGLE_ASSIGN_OR_RETURN(
        removed, RemoveStored(excess(counts.stored, limits.max_records)));
  }
  if (removed == 0) {
    WAGGLE_ASSIGN_OR_RETURN(removed, RemoveCommits());
  }
  if (removed == 0) {
    WAGGLE_ASSIGN_OR_RETURN(
        removed,
        RemoveRefused(excess(counts.refused, limits.max_refused_records)));
  }
  if (removed == 0) {
    WAGGLE_ASSIGN_OR_RETURN(
        removed, progress > 0 ? RemoveProgress(progress, absl::InfiniteFuture())
                              : RemoveProgress(kTrimRows, oldest));
  }
  if (removed == 0) {
    WAGGLE_ASSIGN_OR_RETURN(
        removed, streams > 0 ? RemoveStreams(streams, absl::InfiniteFuture())
                             : RemoveStreams(kTrimRows, oldest));
  }
  if (removed == 0) return false;
  WAGGLE_RETURN_IF_ERROR(NoteRemovedDeliveries());
  return true;
}

absl::StatusOr<bool> DeliveryWriter::TrimOldest() {
  const Sizes sizes = Measure(draft_.counts);
  int64_t removed = 0;
  if (sizes.deliveries >= std::max(sizes.progress, sizes.streams)) {
    WAGGLE_ASSIGN_OR_RETURN(removed, RemoveCommits());
    if (removed == 0) {
      WAGGLE_ASSIGN_OR_RETURN(removed,
                              RemoveOldestDeliveries(absl::InfiniteFuture()));
    }
    WAGGLE_RETURN_IF_ERROR(NoteRemovedDeliveries());
  } else {
    WAGGLE_ASSIGN_OR_RETURN(
        removed, sizes.progress >= sizes.streams
                     ? RemoveProgress(kTrimRows, absl::InfiniteFuture())
                     : RemoveStreams(kTrimRows, absl::InfiniteFuture()));
  }
  return removed > 0;
}

uint64_t DeliveryWriter::size_bytes() const {
  const Sizes sizes = Measure(counts_);
  return static_cast<uint64_t>(sizes.deliveries + sizes.progress +
                               sizes.streams);
}

DeliveryWriter::Sizes DeliveryWriter::Measure(const Counts& counts) {
  return {.deliveries = counts.stored * kStoredBytes +
                        counts.refused * kRefusedBytes +
                        counts.commits * kCommitBytes,
          .progress = counts.progress * kProgressBytes,
          .streams = counts.streams * kStreamBytes + counts.filter_bytes};
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveOldestDeliveries(
    absl::Time oldest) {
  return RemoveInOrder(kTrimRows, oldest, [&](int64_t rows, int64_t below) {
    remove_oldest_.BindInt(1, rows);
    remove_oldest_.BindInt(2, below);
    remove_oldest_.BindInt(3, absl::ToUnixMicros(oldest));
    return Remove(remove_oldest_, [this](const Statement& row) {
      if (row.Int(1) != 0) {
        --draft_.counts.refused;
      } else {
        NoteRemovedStored(row.Int(0), 1);
      }
    });
  });
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveStored(int64_t most) {
  return RemoveInOrder(
      most, absl::InfiniteFuture(), [&](int64_t rows, int64_t below) {
        remove_stored_.BindInt(1, rows);
        remove_stored_.BindInt(2, below);
        remove_stored_.BindInt(3, draft_.removed_stored_id);
        return Remove(remove_stored_, [this](const Statement& row) {
          NoteRemovedStored(row.Int(0), 1);
        });
      });
}

template <typename RemoveRows>
absl::StatusOr<int64_t> DeliveryWriter::RemoveInOrder(
    int64_t most, absl::Time before, const RemoveRows& remove_rows) {
  int64_t removed = 0;
  while (removed < most) {
    WAGGLE_ASSIGN_OR_RETURN(const std::optional<OldestRun> run,
                            FindOldestRun());
    WAGGLE_ASSIGN_OR_RETURN(
        int64_t step,
        remove_rows(most - removed, run ? run->first_id : INT64_MAX));
    if (step == 0 && run && run->recorded_at < before) {
      WAGGLE_ASSIGN_OR_RETURN(step, RemoveRun(*run));
    }
    if (step == 0) break;
    removed += step;
  }
  return removed;
}

absl::StatusOr<std::optional<DeliveryWriter::OldestRun>>
DeliveryWriter::FindOldestRun() {
  const Statement::Scope scope(oldest_run_);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, oldest_run_.Step());
  if (!row) return std::nullopt;
  return OldestRun{.first_id = oldest_run_.Int(0),
                   .last_id = oldest_run_.Int(1),
                   .recorded_at = absl::FromUnixMicros(oldest_run_.Int(2))};
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveRun(const OldestRun& run) {
  remove_run_.BindInt(1, run.first_id);
  WAGGLE_RETURN_IF_ERROR(remove_run_.Run());
  draft_.changed = true;
  const int64_t count = run.last_id - run.first_id + 1;
  NoteRemovedStored(run.last_id, count);
  return count;
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveRefused(int64_t rows) {
  if (rows == 0) return 0;
  remove_refused_.BindInt(1, rows);
  return Remove(remove_refused_,
                [this](const Statement&) { --draft_.counts.refused; });
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveCommits() {
  remove_commits_.BindInt(1, kTrimRows);
  remove_commits_.BindInt(2, draft_.removed_stored_id);
  return Remove(remove_commits_,
                [this](const Statement&) { --draft_.counts.commits; });
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveProgress(int64_t rows,
                                                       absl::Time before) {
  remove_progress_.BindInt(1, rows);
  remove_progress_.BindInt(2, absl::ToUnixMicros(before));
  return Remove(remove_progress_,
                [this](const Statement&) { --draft_.counts.progress; });
}

absl::StatusOr<int64_t> DeliveryWriter::RemoveStreams(int64_t rows,
                                                      absl::Time before) {
  remove_streams_.BindInt(1, rows);
  remove_streams_.BindInt(2, absl::ToUnixMicros(before));
  return Remove(remove_streams_, [this](const Statement& row) {
    --draft_.counts.streams;
    draft_.counts.filter_bytes -= row.Int(0);
  });
}

template <typename NoteRow>
absl::StatusOr<int64_t> DeliveryWriter::Remove(Statement& statement,
                                               const NoteRow& note) {
  const Statement::Scope scope(statement);
  int64_t removed = 0;
  while (true) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) break;
    ++removed;
    note(statement);
  }
  draft_.changed |= removed > 0;
  return removed;
}

// `count` deliveries, of which the last has this id.
void DeliveryWriter::NoteRemovedStored(int64_t id, int64_t count) {
  draft_.counts.stored -= count;
  draft_.removed_stored_id = std::max(draft_.removed_stored_id, id);
}

// Whatever was removed, ids are not given again.
absl::Status DeliveryWriter::NoteRemovedDeliveries() {
  set_last_id_.BindInt(1, draft_.last_id);
  return set_last_id_.Run();
}

}  // namespace waggle
