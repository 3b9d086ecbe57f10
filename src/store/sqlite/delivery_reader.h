// Reads the delivery log and the journal of streams over one of the connections
// that read. Each call is one snapshot.
//
// Not thread-safe.
#ifndef WAGGLE_STORE_SQLITE_DELIVERY_READER_H_
#define WAGGLE_STORE_SQLITE_DELIVERY_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "event/sequence.h"
#include "store/delivery_log.h"
#include "store/sqlite/delivery_commits.h"
#include "store/sqlite/sqlite.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

class DeliveryReader {
 public:
  // `db` must outlive it.
  explicit DeliveryReader(sqlite::Database& db) : db_(db) {}

  absl::Status Prepare();

  // As DeliveryLog's; `recent` knows what was not written yet.
  absl::StatusOr<DeliveryPage> List(const v1::DeliveryFilter& filter,
                                    uint64_t before, size_t max,
                                    const RecentDeliveryCommits& recent);
  absl::StatusOr<v1::Delivery> Read(uint64_t id,
                                    const RecentDeliveryCommits& recent);
  absl::StatusOr<std::vector<v1::Delivery>> Of(
      Sequence sequence, size_t max, const RecentDeliveryCommits& recent);
  absl::StatusOr<std::vector<StreamHandover>> Handovers(Sequence sequence,
                                                        absl::Time since,
                                                        absl::Time until,
                                                        size_t max);

 private:
  // A stream that Handovers() is about.
  struct Candidate {
    int64_t number;
    bool may_have_it;
    absl::Time gone_at;  // InfiniteFuture while it is open
    absl::Time handed_over_at = absl::InfiniteFuture();
  };

  absl::StatusOr<int64_t> FirstRecordedAt(absl::Time time, int64_t low,
                                          int64_t high);
  absl::StatusOr<std::optional<std::vector<int64_t>>> SequencesOf(
      const v1::DeliveryFilter& filter);
  absl::StatusOr<v1::Delivery> ReadAccepted(
      int64_t id, const RecentDeliveryCommits& recent);
  absl::StatusOr<int64_t> AcceptedId(int64_t sequence);
  absl::StatusOr<std::vector<Candidate>> FindCandidates(Sequence sequence,
                                                        absl::Time since,
                                                        absl::Time until,
                                                        size_t max);
  absl::Status FindProgress(Sequence sequence,
                            std::vector<Candidate>& candidates);
  // Of the streams in `missing`, by their numbers.
  absl::Status FindNewestProgress(
      Sequence sequence,
      const absl::flat_hash_map<int64_t, Candidate*>& missing);
  absl::StatusOr<StreamRecord> ReadStream(int64_t number);

  sqlite::Database& db_;
  sqlite::Statement by_id_;
  sqlite::Statement rows_;
  sqlite::Statement runs_;
  sqlite::Statement run_bounds_;
  sqlite::Statement next_run_;
  sqlite::Statement of_event_;
  sqlite::Statement newest_of_event_;
  sqlite::Statement ids_;
  sqlite::Statement next_;
  sqlite::Statement sequence_of_;
  sqlite::Statement candidates_;
  sqlite::Statement progress_;
  sqlite::Statement newest_progress_;
  sqlite::Statement stream_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_DELIVERY_READER_H_
