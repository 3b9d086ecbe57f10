#include "store/sqlite/accepted_deliveries.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "event/proto_time.h"
#include "event/wire.h"
#include "waggle/v1/delivery_service.pb.h"

namespace waggle {

std::string PackAccepted(const v1::Delivery& delivery,
                         std::string_view event_id) {
  std::string packed = delivery.SerializeAsString();
  wire::AppendVarintField(packed, v1::Delivery::kOutcomeFieldNumber,
                          v1::DELIVERY_OUTCOME_ACCEPTED);
  wire::AppendBytesField(packed, v1::Delivery::kEventIdFieldNumber, event_id);
  return packed;
}

void AddAccepted(std::string_view packed, absl::Duration queued,
                 std::string& deliveries) {
  const google::protobuf::Duration duration = ToProto(queued);
  const size_t duration_size = duration.ByteSizeLong();
  wire::AppendBytesHeader(
      deliveries, v1::ListDeliveriesResponse::kDeliveriesFieldNumber,
      packed.size() +
          wire::BytesFieldSize(v1::Delivery::kCommitDurationFieldNumber,
                               duration_size));
  deliveries.append(packed);
  wire::AppendBytesHeader(deliveries, v1::Delivery::kCommitDurationFieldNumber,
                          duration_size);
  duration.AppendToString(&deliveries);
}

absl::StatusOr<std::vector<v1::Delivery>> UnpackAccepted(
    const AcceptedRun& run, std::optional<absl::Duration> commit) {
  v1::ListDeliveriesResponse list;
  if (!list.ParseFromArray(run.deliveries.data(),
                           static_cast<int>(run.deliveries.size())) ||
      list.deliveries_size() != run.last_id - run.first_id + 1) {
    return absl::DataLossError(absl::StrCat("the deliveries with ids from ",
                                            run.first_id, " to ", run.last_id,
                                            " are not what was stored"));
  }
  std::vector<v1::Delivery> deliveries(
      std::make_move_iterator(list.mutable_deliveries()->begin()),
      std::make_move_iterator(list.mutable_deliveries()->end()));
  auto id = static_cast<uint64_t>(run.first_id);
  auto sequence = static_cast<uint64_t>(run.first_sequence);
  for (v1::Delivery& delivery : deliveries) {
    delivery.set_id(id++);
    delivery.set_sequence(sequence++);
    if (commit) {
      *delivery.mutable_commit_duration() =
          ToProto(ToDuration(delivery.commit_duration()) + *commit);
    } else {
      delivery.clear_commit_duration();
    }
  }
  return deliveries;
}

}  // namespace waggle
