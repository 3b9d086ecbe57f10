#include "store/sqlite/reader_pool.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/status_macros.h"
#include "store/sqlite/delivery_reader.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/values.h"
#include "store/uuid.h"

namespace waggle {
namespace {

using sqlite::Database;
using sqlite::Statement;
using sqlite::Transaction;

// Columns: seq, stored_at, event, and payload if it is asked for.
StoredEventPtr ReadRow(const Statement& row, bool include_payload) {
  auto event = std::make_shared<StoredEvent>();
  event->sequence = ToSequence(row.Int(0));
  event->stored_at = absl::FromUnixMicros(row.Int(1));
  event->event = row.Bytes(2);
  if (include_payload) event->payload = row.Bytes(3);
  return event;
}

absl::Status ForCallers(absl::Status status) {
  if (status.code() != absl::StatusCode::kInternal) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace

// One connection; one thread at a time.
class ReadConnection {
 public:
  static absl::StatusOr<std::unique_ptr<ReadConnection>> Open(
      const std::string& path);

  absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest& request, Sequence& trimmed_through);
  absl::StatusOr<StoredEventPtr> ReadById(const Uuid& id, bool include_payload);
  absl::StatusOr<Sequence> PositionBefore(absl::Time time);
  DeliveryReader& deliveries() { return deliveries_; }

 private:
  explicit ReadConnection(Database db) : db_(std::move(db)), deliveries_(db_) {}

  absl::Status Prepare();
  absl::StatusOr<Sequence> TrimmedThrough();

  Database db_;
  DeliveryReader deliveries_;
  // By include_payload.
  Statement page_[2];
  Statement by_id_[2];
  Statement trimmed_through_;
  Statement next_;
  Statement last_;
};

absl::StatusOr<std::unique_ptr<ReadConnection>> ReadConnection::Open(
    const std::string& path) {
  WAGGLE_ASSIGN_OR_RETURN(Database db,
                          Database::Open(path, sqlite::OpenMode::kReadOnly));
  db.SetBusyTimeout(5000);
  // Memory-mapped I/O would turn a read error into SIGBUS.
  WAGGLE_RETURN_IF_ERROR(
      db.Execute("PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0; "
                 "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; "
                 "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-4096;"));
  std::unique_ptr<ReadConnection> connection(new ReadConnection(std::move(db)));
  WAGGLE_RETURN_IF_ERROR(connection->Prepare());
  return connection;
}

absl::Status ReadConnection::Prepare() {
  constexpr std::string_view kPage[] = {
      "SELECT seq, stored_at, event FROM events "
      "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
      "SELECT seq, stored_at, event, payload FROM events "
      "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"};
  constexpr std::string_view kById[] = {
      "SELECT seq, stored_at, event FROM events WHERE id = ?1",
      "SELECT seq, stored_at, event, payload FROM events WHERE id = ?1"};
  for (int i = 0; i < 2; ++i) {
    WAGGLE_ASSIGN_OR_RETURN(page_[i], db_.Prepare(kPage[i]));
    WAGGLE_ASSIGN_OR_RETURN(by_id_[i], db_.Prepare(kById[i]));
  }
  WAGGLE_ASSIGN_OR_RETURN(trimmed_through_,
                          db_.Prepare("SELECT trimmed_through FROM meta"));
  WAGGLE_ASSIGN_OR_RETURN(
      next_, db_.Prepare("SELECT seq, stored_at FROM events WHERE seq > ?1 "
                         "ORDER BY seq LIMIT 1"));
  WAGGLE_ASSIGN_OR_RETURN(
      last_, db_.Prepare("SELECT coalesce(max(seq), 0) FROM events"));
  return deliveries_.Prepare();
}

absl::StatusOr<Sequence> ReadConnection::TrimmedThrough() {
  const Statement::Scope scope(trimmed_through_);
  WAGGLE_ASSIGN_OR_RETURN(const bool row, trimmed_through_.Step());
  if (!row) return absl::DataLossError("the database's meta table is empty");
  return ToSequence(trimmed_through_.Int(0));
}

absl::StatusOr<std::vector<StoredEventPtr>> ReadConnection::ReadPage(
    const PageRequest& request, Sequence& trimmed_through) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  WAGGLE_ASSIGN_OR_RETURN(trimmed_through, TrimmedThrough());
  if (request.after < trimmed_through) {
    return absl::OutOfRangeError("events after this position were removed");
  }
  Statement& select = page_[request.include_payload];
  const Statement::Scope scope(select);
  select.BindInt(1, ToInt(request.after));
  select.BindInt(2, ToInt(request.through));
  select.BindInt(3, ToInt(request.max_events));
  std::vector<StoredEventPtr> page;
  uint64_t bytes = 0;
  while (bytes <= request.max_bytes) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    page.push_back(ReadRow(select, request.include_payload));
    bytes += page.back()->event.size() + page.back()->payload.size();
  }
  return page;
}

absl::StatusOr<StoredEventPtr> ReadConnection::ReadById(const Uuid& id,
                                                        bool include_payload) {
  Statement& select = by_id_[include_payload];
  const Statement::Scope scope(select);
  select.BindBytes(1, AsView(id));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) return absl::NotFoundError("no event with this id is retained");
  return ReadRow(select, include_payload);
}

absl::StatusOr<Sequence> ReadConnection::PositionBefore(absl::Time time) {
  Transaction snapshot(db_);
  WAGGLE_RETURN_IF_ERROR(snapshot.Begin(Transaction::Kind::kRead));
  WAGGLE_ASSIGN_OR_RETURN(const Sequence trimmed_through, TrimmedThrough());
  const Statement::Scope last_scope(last_);
  WAGGLE_RETURN_IF_ERROR(last_.Step().status());
  // stored_at never decreases along the sequences, so it can be searched
  // without an index. Everything up to `low` was stored before `time`; what
  // comes first after `high`, if anything, was not.
  int64_t low = ToInt(trimmed_through);
  int64_t high = std::max(low, last_.Int(0));
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Statement::Scope scope(next_);
    next_.BindInt(1, middle);
    WAGGLE_ASSIGN_OR_RETURN(const bool row, next_.Step());
    if (row && absl::FromUnixMicros(next_.Int(1)) < time) {
      low = next_.Int(0);
    } else {
      high = middle;
    }
  }
  return ToSequence(low);
}

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(
    const std::string& path, int connections) {
  std::vector<std::unique_ptr<ReadConnection>> opened;
  for (int i = 0; i < connections; ++i) {
    WAGGLE_ASSIGN_OR_RETURN(auto connection, ReadConnection::Open(path));
    opened.push_back(std::move(connection));
  }
  return std::unique_ptr<ReaderPool>(new ReaderPool(std::move(opened)));
}

ReaderPool::ReaderPool(std::vector<std::unique_ptr<ReadConnection>> connections)
    : size_(connections.size()), idle_(std::move(connections)) {}

ReaderPool::~ReaderPool() { Close(); }

void ReaderPool::Close() {
  MutexLock lock(mu_);
  if (closed_) return;
  closed_ = true;
  returned_.SignalAll();
  while (idle_.size() < size_) returned_.Wait(mu_);
  idle_.clear();
}

template <typename Function>
auto ReaderPool::WithConnection(const Function& function)
    -> decltype(function(std::declval<ReadConnection&>())) {
  std::unique_ptr<ReadConnection> connection;
  {
    MutexLock lock(mu_);
    while (idle_.empty() && !closed_) returned_.Wait(mu_);
    if (closed_) return absl::UnavailableError("the store is closed");
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  auto result = function(*connection);
  MutexLock lock(mu_);
  idle_.push_back(std::move(connection));
  // All, since Close() waits beside the callers.
  returned_.SignalAll();
  if (!result.ok()) return ForCallers(std::move(result).status());
  return result;
}

absl::StatusOr<std::vector<StoredEventPtr>> ReaderPool::ReadPage(
    const PageRequest& request, Sequence& trimmed_through) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.ReadPage(request, trimmed_through);
  });
}

absl::StatusOr<StoredEventPtr> ReaderPool::ReadById(std::string_view id,
                                                    bool include_payload) {
  const std::optional<Uuid> uuid = PackUuid(id);
  if (!uuid) return absl::NotFoundError("no event with this id is retained");
  return WithConnection([&](ReadConnection& connection) {
    return connection.ReadById(*uuid, include_payload);
  });
}

absl::StatusOr<Sequence> ReaderPool::PositionBefore(absl::Time time) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.PositionBefore(time);
  });
}

absl::StatusOr<DeliveryPage> ReaderPool::ListDeliveries(
    const v1::DeliveryFilter& filter, uint64_t before, size_t max,
    const RecentDeliveryCommits& recent) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.deliveries().List(filter, before, max, recent);
  });
}

absl::StatusOr<v1::Delivery> ReaderPool::ReadDelivery(
    uint64_t id, const RecentDeliveryCommits& recent) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.deliveries().Read(id, recent);
  });
}

absl::StatusOr<std::vector<v1::Delivery>> ReaderPool::DeliveriesOf(
    Sequence sequence, size_t max, const RecentDeliveryCommits& recent) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.deliveries().Of(sequence, max, recent);
  });
}

absl::StatusOr<std::vector<StreamHandover>> ReaderPool::Handovers(
    Sequence sequence, absl::Time since, absl::Time until, size_t max) {
  return WithConnection([&](ReadConnection& connection) {
    return connection.deliveries().Handovers(sequence, since, until, max);
  });
}

}  // namespace waggle
