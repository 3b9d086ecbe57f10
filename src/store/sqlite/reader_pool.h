// The connections that read: read-only, each with its own snapshot for the
// length of one call, none of them ever checkpoints. A call takes a connection
// and blocks while all are taken.
//
// Every call reads what was trimmed in the same snapshot as the events, so it
// knows exactly whether something is missing.
//
// Thread-safe.
#ifndef WAGGLE_STORE_SQLITE_READER_POOL_H_
#define WAGGLE_STORE_SQLITE_READER_POOL_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "store/sqlite/delivery_commits.h"

namespace waggle {

class ReadConnection;

class ReaderPool {
 public:
  // The database must have been opened by the writer already: a reader cannot
  // bring a write-ahead log into shape.
  static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(
      const std::string& path, int connections);
  ~ReaderPool();

  // As EventStore's. UNAVAILABLE after Close() and for passing errors of the
  // medium, DATA_LOSS if the database is damaged.
  // `trimmed_through` becomes that of the moment which the page shows.
  absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest& request, Sequence& trimmed_through);
  absl::StatusOr<StoredEventPtr> ReadById(std::string_view id,
                                          bool include_payload);
  absl::StatusOr<Sequence> PositionBefore(absl::Time time);

  // As DeliveryLog's; `recent` knows what was not written yet.
  absl::StatusOr<DeliveryPage> ListDeliveries(
      const v1::DeliveryFilter& filter, uint64_t before, size_t max,
      const RecentDeliveryCommits& recent);
  absl::StatusOr<v1::Delivery> ReadDelivery(
      uint64_t id, const RecentDeliveryCommits& recent);
  absl::StatusOr<std::vector<v1::Delivery>> DeliveriesOf(
      Sequence sequence, size_t max, const RecentDeliveryCommits& recent);
  absl::StatusOr<std::vector<StreamHandover>> Handovers(Sequence sequence,
                                                        absl::Time since,
                                                        absl::Time until,
                                                        size_t max);

  // Waits for running calls, refuses later ones, closes the connections. To be
  // done before the writer's connection closes. Idempotent.
  void Close();

 private:
  explicit ReaderPool(std::vector<std::unique_ptr<ReadConnection>> connections);

  template <typename Function>
  auto WithConnection(const Function& function)
      -> decltype(function(std::declval<ReadConnection&>()));

  const size_t size_;
  Mutex mu_;
  CondVar returned_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  // The one returned last is taken first: its page cache is the warmest.
  std::vector<std::unique_ptr<ReadConnection>> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_READER_POOL_H_
