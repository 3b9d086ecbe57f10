#include "store/memory/memory_deliveries.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "event/delivery_filter.h"

namespace waggle {
namespace {

// Whether an event is behind it: accepted or duplicate.
bool IsStored(const v1::Delivery& delivery) { return delivery.sequence() != 0; }

}  // namespace

void MemoryDeliveries::Add(v1::Delivery& delivery, absl::Time now) {
  delivery.set_id(++last_id_);
  rows_.push_back({delivery, now});
}

void MemoryDeliveries::Add(StreamRecord stream) {
  const auto known =
      std::find_if(streams_.begin(), streams_.end(), [&](const Stream& other) {
        return other.record.stream_id == stream.stream_id;
      });
  if (known == streams_.end()) {
    const Sequence after = stream.after;
    streams_.push_back({std::move(stream), after});
  } else {
    known->record = std::move(stream);
  }
}

void MemoryDeliveries::Add(StreamProgress progress) {
  const auto open =
      std::find_if(streams_.begin(), streams_.end(), [&](const Stream& stream) {
        return stream.record.stream_id == progress.stream_id &&
               stream.record.open();
      });
  if (open == streams_.end()) return;
  open->through = std::max(open->through, progress.through);
  progress_.push_back(std::move(progress));
}

DeliveryPage MemoryDeliveries::List(const v1::DeliveryFilter& filter,
                                    uint64_t before, size_t max) const {
  const DeliveryMatcher matcher(filter);
  DeliveryPage page;
  for (size_t i = rows_.size(); i-- > 0;) {
    const Row& row = rows_[i];
    if (row.delivery.id() >= before || !matcher.Matches(row.delivery)) {
      continue;
    }
    if (page.deliveries.size() == max) {
      page.next_before = page.deliveries.back().id();
      break;
    }
    page.deliveries.push_back(row.delivery);
  }
  return page;
}

absl::StatusOr<v1::Delivery> MemoryDeliveries::Read(uint64_t id) const {
  for (const Row& row : rows_) {
    if (row.delivery.id() == id) return row.delivery;
  }
  return absl::NotFoundError("no delivery with this id is kept");
}

std::vector<v1::Delivery> MemoryDeliveries::Of(Sequence sequence,
                                               size_t max) const {
  std::vector<v1::Delivery> deliveries;
  for (const Row& row : rows_) {
    if (deliveries.size() == max) break;
    if (IsStored(row.delivery) && row.delivery.sequence() == sequence.value()) {
      deliveries.push_back(row.delivery);
    }
  }
  return deliveries;
}

std::vector<StreamHandover> MemoryDeliveries::Handovers(Sequence sequence,
                                                        absl::Time since,
                                                        absl::Time until,
                                                        size_t max) const {
  std::vector<StreamHandover> handovers;
  for (auto stream = streams_.rbegin();
       stream != streams_.rend() && handovers.size() < max; ++stream) {
    const StreamRecord& record = stream->record;
    if (record.after >= sequence || record.started_at >= until ||
        record.ended_at <= since) {
      continue;
    }
    StreamHandover handover{.stream = record};
    if (stream->through >= sequence) handover.handed_over_at = record.ended_at;
    for (const StreamProgress& progress : progress_) {
      if (progress.stream_id == record.stream_id &&
          progress.through >= sequence) {
        handover.handed_over_at = progress.at;
        break;
      }
    }
    handovers.push_back(std::move(handover));
  }
  return handovers;
}

void MemoryDeliveries::Trim(const DeliveryRetention& limits, absl::Time now) {
  const absl::Time oldest = now - limits.max_age;
  std::erase_if(rows_,
                [&](const Row& row) { return row.recorded_at < oldest; });
  KeepNewest(/*stored=*/true, limits.max_records);
  KeepNewest(/*stored=*/false, limits.max_refused_records);
  std::erase_if(progress_, [&](const StreamProgress& progress) {
    return progress.at < oldest;
  });
  while (progress_.size() > limits.max_progress) progress_.pop_front();
  std::erase_if(streams_, [&](const Stream& stream) {
    return !stream.record.open() && stream.record.ended_at < oldest;
  });
  while (streams_.size() > limits.max_progress) {
    const auto first_to_end = std::min_element(
        streams_.begin(), streams_.end(), [](const Stream& a, const Stream& b) {
          return a.record.ended_at < b.record.ended_at;
        });
    if (first_to_end->record.open()) break;
    streams_.erase(first_to_end);
  }
}

void MemoryDeliveries::KeepNewest(bool stored, uint64_t max) {
  uint64_t excess = 0;
  for (const Row& row : rows_) excess += IsStored(row.delivery) == stored;
  excess -= std::min(excess, max);
  std::erase_if(rows_, [&](const Row& row) {
    if (excess == 0 || IsStored(row.delivery) != stored) return false;
    --excess;
    return true;
  });
}

}  // namespace waggle
