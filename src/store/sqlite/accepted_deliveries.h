// Accepted deliveries as the database keeps them: those of a commit as the
// bytes of a row, or of some rows, since a row for each would cost every
// webhook more than all the rest of the delivery log does. Such a row is a run:
// its ids follow one another, and so do its sequences.
//
// The bytes are a serialised waggle.v1.ListDeliveriesResponse with the
// deliveries oldest first, without ids and sequences, which the run tells.
// commit_duration is how long each waited for its transaction; how long that
// took is in delivery_commits. So whoever has only the file reads them with
// protoc --decode.
//
//   std::string packed = PackAccepted(delivery, id);   // where it is appended
//   AddAccepted(packed, queued, run_bytes);            // where it is committed
//   auto deliveries = UnpackAccepted(run, commit);     // where it is read
#ifndef WAGGLE_STORE_SQLITE_ACCEPTED_DELIVERIES_H_
#define WAGGLE_STORE_SQLITE_ACCEPTED_DELIVERIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// What a door said of a delivery, as it is kept if that becomes the event with
// this id.
std::string PackAccepted(const v1::Delivery& delivery,
                         std::string_view event_id);

// Adds to a run's bytes what PackAccepted() made. `queued` is how long it
// waited for its transaction.
void AddAccepted(std::string_view packed, absl::Duration queued,
                 std::string& deliveries);

struct AcceptedRun {
  int64_t first_id = 0;
  int64_t last_id = 0;
  int64_t first_sequence = 0;
  std::string_view deliveries;
};

// Oldest first. Where it is not known how long the commit took, they have no
// commit_duration. DATA_LOSS if the bytes are not such a run's.
absl::StatusOr<std::vector<v1::Delivery>> UnpackAccepted(
    const AcceptedRun& run, std::optional<absl::Duration> commit);

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_ACCEPTED_DELIVERIES_H_
