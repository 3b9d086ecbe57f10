// The next part of a stream as bytes: a serialised waggle.v1.SubscribeResponse.
// Immutable, so that all streams that are due the same part share one.
#ifndef WAGGLE_STREAM_BATCH_H_
#define WAGGLE_STREAM_BATCH_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "event/cursor.h"
#include "event/sequence.h"
#include "store/event_store.h"

namespace waggle {

struct Batch {
  // The serialised response.
  std::string message;
  // How many events it holds; 0 if nothing matched.
  size_t events = 0;
  // The position after it: its cursor's sequence.
  Sequence through;
};
using BatchPtr = std::shared_ptr<const Batch>;

// Gathers the events of a Batch, then writes it: the bytes of an event are
// copied once, into a message that is allocated once.
class BatchBuilder {
 public:
  // A batch takes no more events once it is this large. Small enough that a
  // slow stream holds little, large enough that per-message costs vanish.
  static constexpr size_t kSoftMaxBytes = 256 * 1024;

  BatchBuilder(bool include_payload, size_t max_events)
      : include_payload_(include_payload), max_events_(max_events) {}

  bool full() const {
    return events_.size() >= max_events_ || bytes_ >= kSoftMaxBytes;
  }

  // `event` must live until Finish().
  void Add(const StoredEvent& event);

  // Ends the batch at `cursor`; the builder is then empty again. `caught_up` is
  // what SubscribeResponse.caught_up says.
  BatchPtr Finish(const Cursor& cursor, bool caught_up);

 private:
  size_t SizeOf(const StoredEvent& event) const;

  const bool include_payload_;
  const size_t max_events_;
  absl::InlinedVector<const StoredEvent*, 64> events_;
  // What the events take in the message.
  size_t bytes_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STREAM_BATCH_H_
