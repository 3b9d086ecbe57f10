// What MemoryEventStore keeps as a DeliveryLog: deliveries, streams and their
// progress, and the questions about them. All in plain containers that are
// looked through from end to end.
//
// Not thread-safe: the store guards it.
#ifndef WAGGLE_STORE_MEMORY_MEMORY_DELIVERIES_H_
#define WAGGLE_STORE_MEMORY_MEMORY_DELIVERIES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "event/sequence.h"
#include "store/delivery_log.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

class MemoryDeliveries {
 public:
  // Gives the delivery its id.
  void Add(v1::Delivery& delivery, absl::Time now);
  void Add(StreamRecord stream);
  void Add(StreamProgress progress);

  // As DeliveryLog's.
  DeliveryPage List(const v1::DeliveryFilter& filter, uint64_t before,
                    size_t max) const;
  absl::StatusOr<v1::Delivery> Read(uint64_t id) const;
  std::vector<v1::Delivery> Of(Sequence sequence, size_t max) const;
  std::vector<StreamHandover> Handovers(Sequence sequence, absl::Time since,
                                        absl::Time until, size_t max) const;
  void Trim(const DeliveryRetention& limits, absl::Time now);

 private:
  struct Row {
    v1::Delivery delivery;
    absl::Time recorded_at;
  };

  struct Stream {
    StreamRecord record;
    Sequence through;  // its last progress
  };

  void KeepNewest(bool stored, uint64_t max);

  uint64_t last_id_ = 0;
  std::deque<Row> rows_;         // by id
  std::vector<Stream> streams_;  // in the order of their first recording
  std::deque<StreamProgress> progress_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_MEMORY_MEMORY_DELIVERIES_H_
