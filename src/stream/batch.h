// The next part of a stream as bytes: a serialised waggle.v1.SubscribeResponse.
// Immutable, so that all streams that are due the same part share one.
#ifndef WAGGLE_STREAM_BATCH_H_
#define WAGGLE_STREAM_BATCH_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "event/cursor.h"
#include "event/sequence.h"
#include "store/event_store.h"

namespace waggle {

struct Batch {
  // The serialised response.
  std::string message;
  // How many events it holds; 0 if nothing matched.
  size_t events = 0;
  // When its first event was received, if it is of the newest ones, which
  // memory holds; InfiniteFuture otherwise.
  absl::Time oldest_received_at = absl::InfiniteFuture();
  // The position after it: its cursor's sequence.
  Sequence through;
};
using BatchPtr = std::shared_ptr<const Batch>;

// What of an event its subscriber gets beside the rest.
struct EventParts {
  bool payload = false;
  bool personal_data = false;

  friend bool operator==(const EventParts&, const EventParts&) = default;
};

// Gathers the events of a Batch, then writes it: the bytes of an event are
// copied once, into a message that is allocated once.
class BatchBuilder {
 public:
  // A batch takes no more events once it is this large. Small enough that a
  // slow stream holds little, large enough that per-message costs vanish.
  static constexpr size_t kSoftMaxBytes = 256 * 1024;

  BatchBuilder(EventParts parts, size_t max_events)
      : parts_(parts), max_events_(max_events) {}

  bool full() const {
    return events_.size() >= max_events_ || bytes_ >= kSoftMaxBytes;
  }

  // `event` must live until Finish().
  void Add(const StoredEvent& event);

  // Ends the batch at `cursor`; the builder is then empty again. `caught_up` is
  // what SubscribeResponse.caught_up says; `from_memory`, whether the batch is
  // to say when it was received.
  BatchPtr Finish(const Cursor& cursor, bool caught_up,
                  bool from_memory = false);

 private:
  struct Entry {
    const StoredEvent* event;
    // Without personal data: where it ends in redacted_, and begins where the
    // one before ends.
    size_t redacted_end;
  };

  size_t SizeOf(const StoredEvent& event, size_t event_bytes) const;

  const EventParts parts_;
  const size_t max_events_;
  absl::InlinedVector<Entry, 64> events_;
  // The events without personal data, one after the other.
  std::string redacted_;
  // What the events take in the message.
  size_t bytes_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STREAM_BATCH_H_
