// The port behind which the delivery log and the journal of streams are kept:
// what became of each request to the webhook door, and which stream had been
// handed what, when. Implemented by every store beside EventStore (the same
// object, so that an event and its delivery are one transaction);
// tests/contract runs one suite over all.
//
// Guarantees:
//  - What EventStore::Append was given a delivery for is recorded in the
//    event's own transaction, as accepted or duplicate.
//  - Everything else is recorded a moment later, with the next commit or after
//    a second at most, and is lost with the process. It never delays an append
//    by more than its own rows, and is refused, not queued without bound. On a
//    full disk it is dropped, but for streams, which wait for room.
//  - Ids increase in the order of recording, along which times never decrease
//    by more than clocks do.
//
// Thread-safe.
#ifndef WAGGLE_STORE_DELIVERY_LOG_H_
#define WAGGLE_STORE_DELIVERY_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "event/sequence.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// A delivery that is recorded: its texts are UTF-8. Immutable and shared.
using DeliveryPtr = std::shared_ptr<const v1::Delivery>;

struct DeliveryPage {
  // Newest first.
  std::vector<v1::Delivery> deliveries;
  // What has smaller ids than this was not looked at yet; 0 if nothing is left.
  uint64_t next_before = 0;
};

// A stream, as the journal keeps it. Its filters are a serialised
// waggle.v1.SubscribeRequest that holds nothing else: the effective ones.
struct StreamRecord {
  std::string stream_id;  // a UUID in text
  std::string principal;
  std::string remote_address;
  std::string filters;
  // It was sent only what comes after this.
  Sequence after;
  absl::Time started_at;
  // At the latest: of one that was open when its gateway was killed, when the
  // store was opened again. InfiniteFuture while it is open.
  absl::Time ended_at = absl::InfiniteFuture();

  bool open() const { return ended_at == absl::InfiniteFuture(); }
};

// Everything up to `through` had been handed to the stream at `at`.
struct StreamProgress {
  std::string stream_id;
  Sequence through;
  absl::Time at;
};

// A stream beside a sequence of interest.
struct StreamHandover {
  StreamRecord stream;
  // When it had been handed to it, at the latest: the first progress at or
  // after the sequence that is kept, else the end of a stream that ended
  // beyond it. InfiniteFuture if there is neither.
  absl::Time handed_over_at = absl::InfiniteFuture();
};

struct DeliveryRetention {
  // What was recorded before now less this is removed: deliveries, progress,
  // and streams that ended before.
  absl::Duration max_age = absl::InfiniteDuration();
  // The most records of accepted and duplicate deliveries, of refused ones, and
  // of the streams' progress (and of streams, of which open ones stay and the
  // first to end go first); the oldest are removed. Those that were accepted by
  // one commit may go together, so that some fewer are left.
  uint64_t max_records = 5'000'000;
  uint64_t max_refused_records = 100'000;
  uint64_t max_progress = 1'000'000;
};

class DeliveryLog {
 public:
  // Gets every delivery once it is durable, with its id and, where it was
  // stored, the duration of its commit; in order. On the store's own thread:
  // must not block, and must not call the store.
  using DeliveryTail = std::function<void(absl::Span<const DeliveryPtr>)>;

  virtual ~DeliveryLog() = default;

  // To be called once, before anything is appended or recorded.
  virtual void FollowDeliveries(DeliveryTail tail) = 0;

  // Queues a delivery that was refused to be recorded: true does not say that
  // it was. Its id is given then. False if too many wait: it is dropped.
  virtual bool Record(v1::Delivery refused) = 0;

  // The page of deliveries that match `filter` (which is valid) with ids below
  // `before`, the newest first: at most `max` (1 or more), and fewer if it has
  // looked at very many. Blocks on the medium. UNAVAILABLE if it cannot be read
  // now.
  virtual absl::StatusOr<DeliveryPage> ListDeliveries(
      const v1::DeliveryFilter& filter, uint64_t before, size_t max) = 0;

  // NOT_FOUND. Blocks on the medium.
  virtual absl::StatusOr<v1::Delivery> ReadDelivery(uint64_t id) = 0;

  // The deliveries of one event, oldest first, at most `max` (1 or more).
  // Blocks.
  virtual absl::StatusOr<std::vector<v1::Delivery>> DeliveriesOf(
      Sequence sequence, size_t max) = 0;

  // The journal of streams. Adds a stream or, by its id, changes it. False, as
  // for Record().
  virtual bool RecordStream(StreamRecord stream) = 0;
  // Of streams that were recorded and have not ended; that of others is
  // dropped. False, as for Record().
  virtual bool RecordProgress(std::vector<StreamProgress> progress) = 0;

  // The streams that were open at any time in [since, until), each with when
  // `sequence` had been handed to it; the newest first, at most `max`. Streams
  // that began after the sequence are left out. Blocks.
  virtual absl::StatusOr<std::vector<StreamHandover>> Handovers(
      Sequence sequence, absl::Time since, absl::Time until, size_t max) = 0;

  // Removes what the limits say, in small steps between commits. Returns once
  // it is done or the store is closing. Blocks.
  virtual absl::Status TrimDeliveries(const DeliveryRetention& limits) = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_DELIVERY_LOG_H_
