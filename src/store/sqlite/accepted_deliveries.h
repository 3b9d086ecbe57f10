// Accepted deliveries as the database keeps them: those of a commit as the
// bytes of a row, or of some rows, since a row for each would cost every
// webhook more than all the rest of the delivery log does.
//
// The bytes are a serialised waggle.v1.ListDeliveriesResponse with the
// deliveries oldest first, without ids and sequences, which the row tells.
// commit_duration is how long each waited for its transaction; how long that
// took is in delivery_commits. So whoever has only the file reads them with
// protoc --decode.
//
//   std::string packed = PackAccepted(delivery, id);   // where it is appended
//   AddAccepted(packed, queued, row.deliveries);       // where it is committed
//   auto deliveries = UnpackAccepted(row);             // where it is read
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

// Adds to a row's bytes what PackAccepted() made. `queued` is how long it
// waited for its transaction.
void AddAccepted(std::string_view packed, absl::Duration queued,
                 std::string& deliveries);

// A row.
struct AcceptedDeliveries {
  int64_t first_id = 0;
  int64_t last_id = 0;
  int64_t first_sequence = 0;
  std::string_view deliveries;
};

// Oldest first. Where it is not known how long the commit took, they have no
// commit_duration. DATA_LOSS if the bytes are not such a row's.
absl::StatusOr<std::vector<v1::Delivery>> UnpackAccepted(
    const AcceptedDeliveries& row, std::optional<absl::Duration> commit);

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_ACCEPTED_DELIVERIES_H_
