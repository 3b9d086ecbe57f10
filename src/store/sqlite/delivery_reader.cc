#include "store/sqlite/delivery_reader.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "event/proto_time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "store/sqlite/values.h"
#include "store/uuid.h"

namespace waggle {
namespace {

using sqlite::Statement;
using sqlite::Transaction;

// How much one call looks at, at the most.
constexpr int64_t kMaxScannedDeliveries = 100'000;
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

absl::Time ToTime(const Statement& row, int column) {
  return row.IsNull(column) ? absl::InfiniteFuture()
                            : absl::FromUnixMicros(row.Int(column));
}

absl::StatusOr<std::string> ToUuidText(std::string_view bytes) {
  WAGGLE_ASSIGN_OR_RETURN(const Uuid uuid, ToArray<Uuid>(bytes));
  return UnpackUuid(uuid);
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
    const std::optional<absl::Duration> commit =
        row.IsNull(11) ? recent.Find(row.Int(0))
                       : absl::Microseconds(row.Int(11));
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

// The rest of a statement's rows.
absl::StatusOr<std::vector<v1::Delivery>> ReadDeliveries(
    Statement& rows, const RecentDeliveryCommits& recent) {
  std::vector<v1::Delivery> deliveries;
  while (true) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return deliveries;
    WAGGLE_ASSIGN_OR_RETURN(v1::Delivery delivery, ToDelivery(rows, recent));
    deliveries.push_back(std::move(delivery));
  }
}

// A WHERE clause of conditions that must all hold, with the texts that are
// bound to its parameters.
class Conditions {
 public:
  void Add(absl::string_view column, absl::string_view comparison,
           int64_t value) {
    Begin(column);
    absl::StrAppend(&sql_, comparison, value);
  }

  // One of `values`, which are SQL.
  void AddOneOf(absl::string_view column,
                const std::vector<std::string>& values) {
    Begin(column);
    absl::StrAppend(&sql_, " IN (", absl::StrJoin(values, ","), ")");
  }

  // Any if `texts` is empty.
  void AddOneOf(absl::string_view column,
                const google::protobuf::RepeatedPtrField<std::string>& texts) {
    if (texts.empty()) return;
    std::vector<std::string> parameters;
    for (const std::string& text : texts) {
      texts_.push_back(text);
      parameters.push_back(absl::StrCat("?", texts_.size()));
    }
    AddOneOf(column, parameters);
  }

  const std::string& sql() const { return sql_; }

  void BindTo(Statement& statement) const {
    for (size_t i = 0; i < texts_.size(); ++i) {
      statement.BindText(static_cast<int>(i + 1), texts_[i]);
    }
  }

 private:
  void Begin(absl::string_view column) {
    absl::StrAppend(&sql_, sql_.empty() ? "WHERE " : " AND ", column);
  }

  std::string sql_;
  std::vector<std::string_view> texts_;
};

std::vector<std::string> ToSql(const std::vector<int64_t>& values) {
  std::vector<std::string> sql;
  sql.reserve(values.size());
  for (const int64_t value : values) sql.push_back(absl::StrCat(value));
  return sql;
}

// Of those that are ids; as blobs.
std::vector<std::string> ToSql(
    const google::protobuf::RepeatedPtrField<std::string>& event_ids) {
  std::vector<std::string> sql;
  for (const std::string& id : event_ids) {
    const std::optional<Uuid> uuid = PackUuid(id);
    if (!uuid) continue;
    const std::string_view bytes = AsView(*uuid);
    sql.push_back(absl::StrCat(
        "x'", absl::BytesToHexString({bytes.data(), bytes.size()}), "'"));
  }
  return sql;
}

}  // namespace

absl::Status DeliveryReader::Prepare() {
  const std::pair<Statement*, std::string> statements[] = {
      {&by_id_, absl::StrCat(kSelect, "WHERE id = ?1")},
      // In the commit that gave ?1, or in those after it that are not written.
      {&accepted_id_,
       "SELECT id FROM deliveries NOT INDEXED WHERE id > coalesce((SELECT "
       "last_id FROM delivery_commits WHERE last_sequence < ?1 "
       "ORDER BY last_sequence DESC, first_id DESC LIMIT 1), 0) "
       "AND id <= coalesce((SELECT last_id FROM delivery_commits "
       "WHERE last_sequence >= ?1 ORDER BY last_sequence, first_id LIMIT 1), "
       "9223372036854775807) AND outcome = 1 AND sequence = ?1 LIMIT 1"},
      {&of_event_,
       absl::StrCat(kSelect,
                    "WHERE id IN (SELECT ?2 UNION ALL SELECT id FROM "
                    "deliveries INDEXED BY deliveries_duplicate WHERE outcome "
                    "= 2 AND sequence = ?1) ORDER BY id LIMIT ?3")},
      {&ids_,
       "SELECT coalesce((SELECT min(id) FROM deliveries), 0), "
       "coalesce((SELECT max(id) FROM deliveries), 0), "
       "coalesce((SELECT recorded_at - received_at FROM deliveries "
       "ORDER BY id DESC LIMIT 1), 0)"},
      {&next_,
       "SELECT id, recorded_at FROM deliveries WHERE id >= ?1 "
       "ORDER BY id LIMIT 1"},
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
  WAGGLE_RETURN_IF_ERROR(ids_.Step().status());
  // What can match is from `low` on and below `high`.
  int64_t low =
      std::max(ids_.Int(0),
               ToInt(std::min<uint64_t>(filter.after_id(), INT64_MAX - 1) + 1));
  int64_t high = std::min(ids_.Int(1) + 1, ToInt(before));
  if (filter.has_since()) {
    WAGGLE_ASSIGN_OR_RETURN(
        low, FirstRecordedAt(ToTime(filter.since()) - kMaxDisorder, low, high));
  }
  // A clock that was set back by more holds recorded_at where it was: what is
  // received before `until` can have any id then.
  const bool is_in_disorder = absl::Microseconds(ids_.Int(2)) > kMaxDisorder;
  if (filter.has_until() && !is_in_disorder) {
    WAGGLE_ASSIGN_OR_RETURN(
        high,
        FirstRecordedAt(ToTime(filter.until()) + kMaxDisorder, low, high));
  }
  if (low >= high) return DeliveryPage();

  WAGGLE_ASSIGN_OR_RETURN(const auto sequences, SequencesOf(filter));
  if (sequences && sequences->empty()) return DeliveryPage();
  const int64_t from =
      sequences ? low : std::max(low, high - kMaxScannedDeliveries);
  Conditions conditions;
  conditions.Add("id", ">=", from);
  conditions.Add("id", "<", high);
  if (filter.has_since()) {
    conditions.Add("received_at",
                   ">=", absl::ToUnixMicros(ToTime(filter.since())));
  }
  if (filter.has_until()) {
    conditions.Add("received_at", "<",
                   absl::ToUnixMicros(ToTime(filter.until())));
  }
  if (!filter.outcomes().empty()) {
    conditions.AddOneOf("outcome",
                        ToSql(std::vector<int64_t>(filter.outcomes().begin(),
                                                   filter.outcomes().end())));
  }
  conditions.AddOneOf("endpoint", filter.endpoints());
  conditions.AddOneOf("connector_id", filter.connector_ids());
  conditions.AddOneOf("type_name", filter.type_names());
  if (sequences) {
    std::vector<int64_t> accepted;
    for (const int64_t sequence : *sequences) {
      WAGGLE_ASSIGN_OR_RETURN(accepted.emplace_back(), AcceptedId(sequence));
    }
    conditions.AddOneOf(
        "id",
        {absl::StrCat("SELECT id FROM deliveries INDEXED BY "
                      "deliveries_duplicate WHERE outcome = 2 AND "
                      "sequence IN (",
                      absl::StrJoin(*sequences, ","), ") UNION ALL VALUES (",
                      absl::StrJoin(accepted, "),("), ")")});
  } else if (!filter.event_ids().empty()) {
    conditions.AddOneOf("event_id", ToSql(filter.event_ids()));
  }
  WAGGLE_ASSIGN_OR_RETURN(
      Statement rows,
      db_.Prepare(absl::StrCat(kSelect, conditions.sql(),
                               " ORDER BY id DESC LIMIT ", max)));
  conditions.BindTo(rows);
  DeliveryPage page;
  WAGGLE_ASSIGN_OR_RETURN(page.deliveries, ReadDeliveries(rows, recent));
  const int64_t looked_at_from =
      page.deliveries.size() == max
          ? static_cast<int64_t>(page.deliveries.back().id())
          : from;
  if (looked_at_from > low) {
    page.next_before = static_cast<uint64_t>(looked_at_from);
  }
  return page;
}

absl::StatusOr<v1::Delivery> DeliveryReader::Read(
    uint64_t id, const RecentDeliveryCommits& recent) {
  const Statement::Scope scope(by_id_);
  by_id_.BindInt(1, ToInt(id));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, by_id_.Step());
  if (!row) return absl::NotFoundError("no delivery with this id is kept");
  return ToDelivery(by_id_, recent);
}

absl::StatusOr<std::vector<v1::Delivery>> DeliveryReader::Of(
    Sequence sequence, size_t max, const RecentDeliveryCommits& recent) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t accepted, AcceptedId(ToInt(sequence)));
  const Statement::Scope scope(of_event_);
  of_event_.BindInt(1, ToInt(sequence));
  of_event_.BindInt(2, accepted);
  of_event_.BindInt(3, ToInt(max));
  return ReadDeliveries(of_event_, recent);
}

// The delivery that the event was made of; 0 if it is not kept.
absl::StatusOr<int64_t> DeliveryReader::AcceptedId(int64_t sequence) {
  const Statement::Scope scope(accepted_id_);
  accepted_id_.BindInt(1, sequence);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, accepted_id_.Step());
  return row ? accepted_id_.Int(0) : 0;
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
  return low;
}

// Of the events that the filter names, if they are all retained: their
// deliveries are found by an index then.
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
