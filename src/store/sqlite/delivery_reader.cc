#include "store/sqlite/delivery_reader.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "event/delivery_filter.h"
#include "event/proto_time.h"
#include "store/sqlite/accepted_deliveries.h"
#include "store/sqlite/values.h"
#include "store/uuid.h"

namespace waggle {
namespace {

using sqlite::Statement;
using sqlite::Transaction;

// How much one call looks at, at the most.
constexpr size_t kMaxScannedDeliveries = 100'000;  // of each kind
constexpr int64_t kMaxScannedStreams = 10'000;
constexpr int64_t kMaxScannedProgress = 100'000;

// By how much a delivery can have been received after what has larger ids was
// recorded, or before what has smaller ones was: what clocks are set back by,
// and what a delivery waits. Filters by time look that much further.
constexpr absl::Duration kMaxDisorder = absl::Hours(1);

// In the order that ToDelivery() takes them in.
constexpr absl::string_view kSelect =
    "SELECT id, received_at, outcome, http_status, endpoint, path, "
    "remote_address, size_bytes, read_us, verify_us, queue_us, "
    "(SELECT CASE WHEN last_id >= d.id THEN commit_us END "
    "FROM delivery_commits WHERE first_id <= d.id "
    "ORDER BY first_id DESC LIMIT 1), key_fingerprint, sequence, event_id, "
    "type_name, connector_id, traceparent, unrecorded_before "
    "FROM deliveries AS d ";

// The same for runs, in the order that Unpack() takes them in.
constexpr absl::string_view kSelectRuns =
    "SELECT first_id, last_id, first_sequence, "
    "(SELECT CASE WHEN last_id >= r.first_id THEN commit_us END "
    "FROM delivery_commits WHERE first_id <= r.first_id "
    "ORDER BY first_id DESC LIMIT 1), deliveries "
    "FROM accepted_deliveries AS r ";

absl::Time ToTime(const Statement& row, int column) {
  return row.IsNull(column) ? absl::InfiniteFuture()
                            : absl::FromUnixMicros(row.Int(column));
}

absl::StatusOr<std::string> ToUuidText(std::string_view bytes) {
  WAGGLE_ASSIGN_OR_RETURN(const Uuid uuid, ToArray<Uuid>(bytes));
  return UnpackUuid(uuid);
}

// How long the commit took that stored what the row begins with.
std::optional<absl::Duration> CommitDuration(
    const Statement& row, int column, const RecentDeliveryCommits& recent) {
  return row.IsNull(column) ? recent.Find(row.Int(0))
                            : absl::Microseconds(row.Int(column));
}

absl::StatusOr<std::vector<v1::Delivery>> Unpack(
    const Statement& run, const RecentDeliveryCommits& recent) {
  return UnpackAccepted({.first_id = run.Int(0),
                         .last_id = run.Int(1),
                         .first_sequence = run.Int(2),
                         .deliveries = run.Bytes(4)},
                        CommitDuration(run, 3, recent));
}

absl::StatusOr<v1::Delivery> ToDelivery(const Statement& row,
                                        const RecentDeliveryCommits& recent) {
  const auto duration = [&row](int column) {
    return ToProto(absl::Microseconds(row.Int(column)));
  };
  v1::Delivery delivery;
  delivery.set_id(static_cast<uint64_t>(row.Int(0)));
  *delivery.mutable_received_at() = ToProto(absl::FromUnixMicros(row.Int(1)));
  delivery.set_outcome(static_cast<v1::DeliveryOutcome>(row.Int(2)));
  delivery.set_http_status(static_cast<uint32_t>(row.Int(3)));
  delivery.set_endpoint(std::string(row.Bytes(4)));
  delivery.set_path(std::string(row.Bytes(5)));
  delivery.set_remote_address(std::string(row.Bytes(6)));
  delivery.set_size_bytes(static_cast<uint64_t>(row.Int(7)));
  if (!row.IsNull(8)) *delivery.mutable_read_duration() = duration(8);
  if (!row.IsNull(9)) *delivery.mutable_verify_duration() = duration(9);
  if (!row.IsNull(10)) {
    const auto commit = CommitDuration(row, 11, recent);
    if (commit) {
      *delivery.mutable_commit_duration() =
          ToProto(absl::Microseconds(row.Int(10)) + *commit);
    }
  }
  delivery.set_key_fingerprint(std::string(row.Bytes(12)));
  if (!row.IsNull(13)) {
    delivery.set_sequence(static_cast<uint64_t>(row.Int(13)));
    WAGGLE_ASSIGN_OR_RETURN(*delivery.mutable_event_id(),
                            ToUuidText(row.Bytes(14)));
  }
  delivery.set_type_name(std::string(row.Bytes(15)));
  delivery.set_connector_id(std::string(row.Bytes(16)));
  delivery.set_traceparent(std::string(row.Bytes(17)));
  delivery.set_unrecorded_before(static_cast<uint64_t>(row.Int(18)));
  return delivery;
}

bool MayBeAccepted(const v1::DeliveryFilter& filter) {
  return filter.outcomes().empty() ||
         std::count(filter.outcomes().begin(), filter.outcomes().end(),
                    v1::DELIVERY_OUTCOME_ACCEPTED) > 0;
}

// Makes a page of what matches, from the rows of several statements, each
// newest first.
class Search {
 public:
  // Ids from `low` on and below `high` are looked at: of each statement's as
  // many as `most`, but no more once it has filled the page.
  Search(const v1::DeliveryFilter& filter, int64_t low, int64_t high,
         size_t max, size_t most, const RecentDeliveryCommits& recent)
      : matcher_(filter),
        low_(low),
        high_(high),
        max_(max),
        most_(most),
        recent_(recent),
        from_(low) {}

  void Add(v1::Delivery delivery) {
    const int64_t id = ToInt(delivery.id());
    if (id < low_ || id >= high_ || !matcher_.Matches(delivery)) return;
    found_.push_back(std::move(delivery));
  }

  absl::Status AddRows(Statement& rows) {
    Progress progress;
    while (true) {
      WAGGLE_ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row || rows.Int(0) < from_) return absl::OkStatus();
      WAGGLE_ASSIGN_OR_RETURN(v1::Delivery delivery, ToDelivery(rows, recent_));
      if (!LookAt(std::move(delivery), progress)) return absl::OkStatus();
    }
  }

  absl::Status AddRuns(Statement& runs) {
    Progress progress;
    while (true) {
      WAGGLE_ASSIGN_OR_RETURN(const bool row, runs.Step());
      if (!row || runs.Int(1) < from_) return absl::OkStatus();
      WAGGLE_ASSIGN_OR_RETURN(std::vector<v1::Delivery> run,
                              Unpack(runs, recent_));
      for (; !run.empty(); run.pop_back()) {
        const int64_t id = ToInt(run.back().id());
        if (id >= high_) continue;
        if (id < from_ || !LookAt(std::move(run.back()), progress)) {
          return absl::OkStatus();
        }
      }
    }
  }

  DeliveryPage Finish() && {
    // Below what one statement came to, others may have been looked at.
    std::erase_if(found_, [this](const v1::Delivery& delivery) {
      return ToInt(delivery.id()) < from_;
    });
    std::sort(found_.begin(), found_.end(),
              [](const v1::Delivery& a, const v1::Delivery& b) {
                return a.id() > b.id();
              });
    if (found_.size() > max_) {
      found_.resize(max_);
      from_ = ToInt(found_.back().id());
    }
    return {.deliveries = std::move(found_),
            .next_before = from_ > low_ ? static_cast<uint64_t>(from_) : 0};
  }

 private:
  // Of one statement.
  struct Progress {
    size_t looked_at = 0;
    size_t found = 0;
  };

  // Whether to look further.
  bool LookAt(v1::Delivery delivery, Progress& progress) {
    const int64_t id = ToInt(delivery.id());
    ++progress.looked_at;
    if (matcher_.Matches(delivery)) {
      ++progress.found;
      found_.push_back(std::move(delivery));
    }
    if (progress.looked_at < most_ && progress.found < max_) return true;
    from_ = id;
    return false;
  }

  const DeliveryMatcher matcher_;
  const int64_t low_;
  const int64_t high_;
  const size_t max_;
  const size_t most_;
  const RecentDeliveryCommits& recent_;
  // Each statement was looked at from here on.
  int64_t from_;
  std::vector<v1::Delivery> found_;
};

}  // namespace

absl::Status DeliveryReader::Prepare() {
  const std::pair<Statement*, std::string> statements[] = {
      {&by_id_, absl::StrCat(kSelect, "WHERE id = ?1")},
      {&runs_, absl::StrCat(kSelectRuns,
                            "WHERE first_id <= ?1 ORDER BY first_id DESC")},
      {&rows_,
       absl::StrCat(kSelect, "WHERE id >= ?1 AND id < ?2 ORDER BY id DESC")},
      {&of_event_, absl::StrCat(kSelect,
                                "INDEXED BY deliveries_stored "
                                "WHERE sequence = ?1 ORDER BY id")},
      {&newest_of_event_,
       absl::StrCat(kSelect,
                    "INDEXED BY deliveries_stored WHERE sequence = ?1 "
                    "AND id >= ?2 AND id < ?3 ORDER BY id DESC")},
      // The oldest and the newest id, and of the latter how long it had been
      // received before it was recorded.
      {&ids_,
       "SELECT (SELECT min(id) FROM (SELECT min(id) AS id FROM deliveries "
       "UNION ALL SELECT min(first_id) FROM accepted_deliveries)), id, "
       "recorded_at - received_at FROM (SELECT * FROM (SELECT id, recorded_at, "
       "received_at FROM deliveries ORDER BY id DESC LIMIT 1) UNION ALL SELECT "
       "* FROM (SELECT last_id, recorded_at, received_at FROM "
       "accepted_deliveries ORDER BY first_id DESC LIMIT 1)) "
       "ORDER BY id DESC LIMIT 1"},
      // The first id from ?1 on that a row or a run has.
      {&next_,
       "SELECT id, recorded_at FROM (SELECT * FROM (SELECT id, recorded_at "
       "FROM deliveries WHERE id >= ?1 ORDER BY id LIMIT 1) UNION ALL SELECT "
       "max(first_id, ?1), recorded_at FROM accepted_deliveries WHERE first_id "
       "IN ((SELECT max(first_id) FROM accepted_deliveries WHERE first_id <= "
       "?1), (SELECT min(first_id) FROM accepted_deliveries WHERE first_id > "
       "?1)) AND last_id >= ?1) ORDER BY id LIMIT 1"},
      {&next_run_,
       "SELECT first_id, last_id, first_sequence FROM accepted_deliveries "
       "WHERE first_id >= ?1 ORDER BY first_id LIMIT 1"},
      {&run_bounds_,
       "SELECT coalesce((SELECT min(first_id) FROM accepted_deliveries), 0), "
       "coalesce((SELECT max(first_id) FROM accepted_deliveries), -1) + 1"},
      {&sequence_of_, "SELECT seq FROM events WHERE id = ?1"},
      // Streams that were not gone by ?3: those that are open, and those that
      // were gone first after it.
      {&candidates_,
       absl::StrCat("SELECT id, through IS NULL OR through >= ?1, gone_at FROM "
                    "(SELECT id FROM streams WHERE gone_at IS NULL UNION ALL "
                    "SELECT id FROM (SELECT id FROM streams WHERE gone_at > ?3 "
                    "ORDER BY gone_at LIMIT ",
                    kMaxScannedStreams,
                    ")) CROSS JOIN streams USING (id) WHERE after < ?1 AND "
                    "started_at < ?2 ORDER BY id DESC LIMIT ?4")},
      {&progress_,
       absl::StrCat("SELECT stream, at FROM stream_progress WHERE "
                    "through >= ?1 ORDER BY through, stream, at LIMIT ",
                    kMaxScannedProgress)},
      {&newest_progress_,
       absl::StrCat("SELECT stream, at FROM (SELECT stream, through, at FROM "
                    "stream_progress ORDER BY id DESC LIMIT ",
                    kMaxScannedProgress, ") WHERE through >= ?1")},
      {&stream_,
       "SELECT stream_id, principal, remote_address, filters, after, "
       "started_at, coalesce(ended_at, gone_at) FROM streams WHERE id = ?1"},
  };
  for (const auto& [statement, sql] : statements) {
    WAGGLE_ASSIGN_OR_RETURN(*statement, db_.Prepare(sql));
  }
  return absl::OkStatus();
}

absl::StatusOr<DeliveryPage> DeliveryReader::List(
    const v1::DeliveryFilter& filter, uint64_t before, size_t max,
    const RecentDeliveryCommits& recent) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  const Statement::Scope ids_scope(ids_);
  WAGGLE_ASSIGN_OR_RETURN(const bool is_any, ids_.Step());
  if (!is_any) return DeliveryPage();
  // What can match is from `low` on and below `high`.
  int64_t low =
      std::max(ids_.Int(0),
               ToInt(std::min<uint64_t>(filter.after_id(), INT64_MAX - 1) + 1));
  int64_t high = std::min(ids_.Int(1) + 1, ToInt(before));
  if (filter.has_since()) {
    WAGGLE_ASSIGN_OR_RETURN(
        low, FirstRecordedAt(ToTime(filter.since()) - kMaxDisorder, low, high));
  }
  // While a clock that was set back by more has not caught up, recorded_at
  // stays where it was: what is received before `until` can have any id then.
  // Later, what was received meanwhile is not found by `until`.
  const bool is_in_disorder = absl::Microseconds(ids_.Int(2)) > kMaxDisorder;
  if (filter.has_until() && !is_in_disorder) {
    WAGGLE_ASSIGN_OR_RETURN(
        high,
        FirstRecordedAt(ToTime(filter.until()) + kMaxDisorder, low, high));
  }
  if (low >= high) return DeliveryPage();

  WAGGLE_ASSIGN_OR_RETURN(const auto sequences, SequencesOf(filter));
  const size_t statements =
      sequences ? std::max<size_t>(sequences->size(), 1) : 1;
  Search search(filter, low, high, max, kMaxScannedDeliveries / statements,
                recent);
  if (sequences) {
    for (const int64_t sequence : *sequences) {
      WAGGLE_ASSIGN_OR_RETURN(const int64_t id, AcceptedId(sequence));
      if (id != 0) {
        WAGGLE_ASSIGN_OR_RETURN(v1::Delivery accepted,
                                ReadAccepted(id, recent));
        search.Add(std::move(accepted));
      }
      const Statement::Scope scope(newest_of_event_);
      newest_of_event_.BindInt(1, sequence);
      newest_of_event_.BindInt(2, low);
      newest_of_event_.BindInt(3, high);
      WAGGLE_RETURN_IF_ERROR(search.AddRows(newest_of_event_));
    }
  } else {
    const Statement::Scope rows_scope(rows_);
    rows_.BindInt(1, low);
    rows_.BindInt(2, high);
    WAGGLE_RETURN_IF_ERROR(search.AddRows(rows_));
    if (MayBeAccepted(filter)) {
      const Statement::Scope runs_scope(runs_);
      runs_.BindInt(1, high - 1);
      WAGGLE_RETURN_IF_ERROR(search.AddRuns(runs_));
    }
  }
  return std::move(search).Finish();
}

absl::StatusOr<v1::Delivery> DeliveryReader::Read(
    uint64_t id, const RecentDeliveryCommits& recent) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  const Statement::Scope scope(by_id_);
  by_id_.BindInt(1, ToInt(id));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, by_id_.Step());
  return row ? ToDelivery(by_id_, recent) : ReadAccepted(ToInt(id), recent);
}

// One that is in a run; NOT_FOUND.
absl::StatusOr<v1::Delivery> DeliveryReader::ReadAccepted(
    int64_t id, const RecentDeliveryCommits& recent) {
  const Statement::Scope scope(runs_);
  runs_.BindInt(1, id);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, runs_.Step());
  if (!row || runs_.Int(1) < id) {
    return absl::NotFoundError("no delivery with this id is kept");
  }
  const auto index = static_cast<size_t>(id - runs_.Int(0));
  WAGGLE_ASSIGN_OR_RETURN(std::vector<v1::Delivery> run, Unpack(runs_, recent));
  return std::move(run[index]);
}

absl::StatusOr<std::vector<v1::Delivery>> DeliveryReader::Of(
    Sequence sequence, size_t max, const RecentDeliveryCommits& recent) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  std::vector<v1::Delivery> found;
  WAGGLE_ASSIGN_OR_RETURN(const int64_t id, AcceptedId(ToInt(sequence)));
  if (id != 0) {
    WAGGLE_ASSIGN_OR_RETURN(found.emplace_back(), ReadAccepted(id, recent));
  }
  const Statement::Scope scope(of_event_);
  of_event_.BindInt(1, ToInt(sequence));
  while (found.size() < max) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, of_event_.Step());
    if (!row) break;
    WAGGLE_ASSIGN_OR_RETURN(found.emplace_back(),
                            ToDelivery(of_event_, recent));
  }
  return found;
}

// The delivery in a run that the event was made of; 0 if there is none. Ids and
// sequences increase together, so runs can be searched without an index.
absl::StatusOr<int64_t> DeliveryReader::AcceptedId(int64_t sequence) {
  const Statement::Scope bounds_scope(run_bounds_);
  WAGGLE_RETURN_IF_ERROR(run_bounds_.Step().status());
  int64_t low = run_bounds_.Int(0);
  int64_t high = run_bounds_.Int(1);
  int64_t found = 0;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Statement::Scope scope(next_run_);
    next_run_.BindInt(1, middle);
    WAGGLE_ASSIGN_OR_RETURN(const bool row, next_run_.Step());
    const int64_t offset = row ? sequence - next_run_.Int(2) : -1;
    if (offset < 0) {
      high = middle;
      continue;
    }
    low = next_run_.Int(0) + 1;
    found = offset <= next_run_.Int(1) - next_run_.Int(0)
                ? next_run_.Int(0) + offset
                : 0;
  }
  return found;
}

// The first id in [low, high) that was recorded at or after `time`; `high` if
// there is none. recorded_at never decreases along the ids, so it can be
// searched without an index.
absl::StatusOr<int64_t> DeliveryReader::FirstRecordedAt(absl::Time time,
                                                        int64_t low,
                                                        int64_t high) {
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Statement::Scope scope(next_);
    next_.BindInt(1, middle);
    WAGGLE_ASSIGN_OR_RETURN(const bool row, next_.Step());
    if (row && absl::FromUnixMicros(next_.Int(1)) < time) {
      low = next_.Int(0) + 1;
    } else {
      high = middle;
    }
  }
  // What was found last can lie beyond all that was looked for.
  return std::min(low, high);
}

// Of the events that the filter names, each once, if they are all retained:
// their deliveries are found by an index then.
absl::StatusOr<std::optional<std::vector<int64_t>>> DeliveryReader::SequencesOf(
    const v1::DeliveryFilter& filter) {
  std::vector<int64_t> sequences;
  for (const std::string& id : filter.event_ids()) {
    const std::optional<Uuid> uuid = PackUuid(id);
    if (!uuid) continue;
    const Statement::Scope scope(sequence_of_);
    sequence_of_.BindBytes(1, AsView(*uuid));
    WAGGLE_ASSIGN_OR_RETURN(const bool row, sequence_of_.Step());
    if (!row) return std::nullopt;
    sequences.push_back(sequence_of_.Int(0));
  }
  if (filter.event_ids().empty()) return std::nullopt;
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()),
                  sequences.end());
  return sequences;
}

absl::StatusOr<std::vector<StreamHandover>> DeliveryReader::Handovers(
    Sequence sequence, absl::Time since, absl::Time until, size_t max) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  WAGGLE_ASSIGN_OR_RETURN(std::vector<Candidate> candidates,
                          FindCandidates(sequence, since, until, max));
  WAGGLE_RETURN_IF_ERROR(FindProgress(sequence, candidates));
  std::vector<StreamHandover> handovers;
  for (const Candidate& candidate : candidates) {
    StreamHandover handover;
    WAGGLE_ASSIGN_OR_RETURN(handover.stream, ReadStream(candidate.number));
    handover.handed_over_at = candidate.handed_over_at;
    handovers.push_back(std::move(handover));
  }
  return handovers;
}

absl::StatusOr<std::vector<DeliveryReader::Candidate>>
DeliveryReader::FindCandidates(Sequence sequence, absl::Time since,
                               absl::Time until, size_t max) {
  const Statement::Scope scope(candidates_);
  candidates_.BindInt(1, ToInt(sequence));
  candidates_.BindInt(2, absl::ToUnixMicros(until));
  candidates_.BindInt(3, absl::ToUnixMicros(since));
  candidates_.BindInt(4, ToInt(max));
  std::vector<Candidate> candidates;
  while (true) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, candidates_.Step());
    if (!row) return candidates;
    candidates.push_back({.number = candidates_.Int(0),
                          .may_have_it = candidates_.Int(1) != 0,
                          .gone_at = ToTime(candidates_, 2)});
  }
}

absl::Status DeliveryReader::FindProgress(Sequence sequence,
                                          std::vector<Candidate>& candidates) {
  absl::flat_hash_map<int64_t, Candidate*> missing;
  for (Candidate& candidate : candidates) {
    if (candidate.may_have_it) missing[candidate.number] = &candidate;
  }
  const Statement::Scope scope(progress_);
  progress_.BindInt(1, ToInt(sequence));
  while (!missing.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, progress_.Step());
    if (!row) break;
    // A stream's progress grows with time, so its first row is the earliest.
    const auto found = missing.find(progress_.Int(0));
    if (found == missing.end()) continue;
    found->second->handed_over_at = absl::FromUnixMicros(progress_.Int(1));
    missing.erase(found);
  }
  // What is left has no progress any more, or behind the scan.
  bool is_any_open = false;
  for (const auto& [number, candidate] : missing) {
    candidate->handed_over_at = candidate->gone_at;
    is_any_open |= candidate->gone_at == absl::InfiniteFuture();
  }
  return is_any_open ? FindNewestProgress(sequence, missing) : absl::OkStatus();
}

absl::Status DeliveryReader::FindNewestProgress(
    Sequence sequence,
    const absl::flat_hash_map<int64_t, Candidate*>& missing) {
  const Statement::Scope scope(newest_progress_);
  newest_progress_.BindInt(1, ToInt(sequence));
  while (true) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, newest_progress_.Step());
    if (!row) return absl::OkStatus();
    const auto found = missing.find(newest_progress_.Int(0));
    if (found == missing.end()) continue;
    absl::Time& at = found->second->handed_over_at;
    at = std::min(at, absl::FromUnixMicros(newest_progress_.Int(1)));
  }
}

absl::StatusOr<StreamRecord> DeliveryReader::ReadStream(int64_t number) {
  const Statement::Scope scope(stream_);
  stream_.BindInt(1, number);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, stream_.Step());
  if (!row) return absl::DataLossError("a stream has gone from its table");
  StreamRecord stream;
  WAGGLE_ASSIGN_OR_RETURN(stream.stream_id, ToUuidText(stream_.Bytes(0)));
  stream.principal = stream_.Bytes(1);
  stream.remote_address = stream_.Bytes(2);
  stream.filters = stream_.Bytes(3);
  stream.after = Sequence(static_cast<uint64_t>(stream_.Int(4)));
  stream.started_at = ToTime(stream_, 5);
  stream.ended_at = ToTime(stream_, 6);
  return stream;
}

}  // namespace waggle
