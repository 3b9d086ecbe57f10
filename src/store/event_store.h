// The port behind which events are kept. Implemented by SqliteEventStore (the
// embedded default) and MemoryEventStore (for tests); tests/contract runs one
// suite over all implementations, and a new one has to pass it unchanged.
//
// Guarantees of every implementation:
//  - Durability: Append's `done` gets OK only once the event survives the end
//    of the process and, where the medium allows, of the machine.
//  - Order: sequences increase; gaps are allowed. What the tail and ReadPage
//    give is in the order of sequences, and once a sequence was visible, no
//    smaller one becomes visible later.
//  - Visibility: nothing is read, told or answered before it is durable.
//  - Deduplication: of two appends with equal identities within the window, one
//    is stored and the other gets its sequence and id, also across restarts.
//  - Trimming removes the oldest first. A reader that asks for what was trimmed
//    gets OUT_OF_RANGE, never a gap in silence.
// Events may appear that were never appended here: another process may share
// the store.
//
// Thread-safe, except where said. Every Append must have been answered before
// destruction, which Close() brings about.
#ifndef WAGGLE_STORE_EVENT_STORE_H_
#define WAGGLE_STORE_EVENT_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "event/cursor.h"
#include "event/sequence.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

// What makes two deliveries one.
struct DeliveryIdentity {
  // Equal for equal deliveries only: a digest of the endpoint and the body.
  std::string digest;
  // For identities that hold as long as the event is retained: a prefix that
  // grows with time (a sync id), so that the store's index is appended to and
  // not written all over. Not part of what makes identities equal, but equal
  // deliveries have equal prefixes.
  std::string index_prefix;
  // How long it holds, by the arrivals' received_at; InfiniteDuration: as long
  // as the event is retained.
  absl::Duration window = absl::ZeroDuration();
};

// An event on its way into the store.
struct NewEvent {
  // Event.id: a UUID in text.
  std::string id;
  absl::Time received_at;
  // A serialised waggle.v1.Event without `sequence` and `payload`.
  std::string event;
  // The raw body.
  std::string payload;
  DeliveryIdentity identity;
  // What the delivery log is to say of it. The store adds what only it knows:
  // id, outcome, event_id, sequence, commit_duration. Unset: nothing is
  // recorded. Shared with whoever appends, so that it need not be copied: the
  // store's until `done` is called; immutable after an OK, and as it was after
  // an error.
  std::shared_ptr<v1::Delivery> delivery;
};

// What became of an append.
struct Appended {
  Sequence sequence;
  // Of the stored event: the first one's, if this was a duplicate.
  std::string id;
  bool duplicate = false;
};

// An event as stored. Immutable and shared.
struct StoredEvent {
  Sequence sequence;
  // When the store committed it; never decreases along the sequences.
  absl::Time stored_at;
  // A serialised waggle.v1.Event with `sequence` and without `payload`.
  std::string event;
  // The raw body; empty if the reader did not ask for payloads.
  std::string payload;
};
using StoredEventPtr = std::shared_ptr<const StoredEvent>;

// What a store holds.
struct StoreBounds {
  // Everything up to here was trimmed; a cursor here starts at the oldest
  // retained event.
  Sequence trimmed_through;
  // The newest durable event; trimmed_through if none is retained.
  Sequence last;
  // stored_at of the oldest retained event; InfiniteFuture if none is.
  absl::Time oldest_stored_at = absl::InfiniteFuture();
  // Size of the data, in bytes, without space that is free for reuse.
  uint64_t size_bytes = 0;
};

struct PageRequest {
  // The page starts at the first event after this.
  Sequence after = Sequence();
  // The page ends at this event at the latest.
  Sequence through = Sequence(UINT64_MAX);
  // The most events; at least 1.
  size_t max_events = 512;
  // The page ends once events and payloads are larger than this, in bytes; it
  // holds at least one event, if there is one.
  size_t max_bytes = 1 << 20;
  bool include_payload = false;
};

struct RetentionLimits {
  // Events stored before now less this are removed; InfiniteDuration keeps
  // them.
  absl::Duration max_age = absl::InfiniteDuration();
  // The oldest are removed while size_bytes is larger; 0 is no limit.
  uint64_t max_bytes = 0;
};

class EventStore {
 public:
  using AppendDone = absl::AnyInvocable<void(absl::StatusOr<Appended>)>;
  // Gets every event that becomes durable, once, in order, in groups. Called on
  // the store's own thread, before the appends in the group are answered: must
  // not block, and must not call the store.
  using Tail = std::function<void(absl::Span<const StoredEventPtr>)>;

  virtual ~EventStore() = default;

  // Cursors carry it.
  virtual const StoreId& id() const = 0;

  // Starts to tell `tail` of what becomes durable after the returned bounds'
  // `last`. To be called once, before the first Append.
  virtual StoreBounds Start(Tail tail) = 0;

  // Stores `event` unless it is a duplicate, then calls `done` once, on the
  // store's own thread (or on the caller's, if it is refused at once): it must
  // not block, and must not call the store. Errors:
  //   RESOURCE_EXHAUSTED  The disk is full; refused until there is room again.
  //   UNAVAILABLE         Too many appends wait, or the store is closing.
  // After any other failure of the medium the outcome of a commit is unknown:
  // the implementation ends the process rather than answer.
  virtual void Append(NewEvent event, AppendDone done) = 0;

  // The next page, empty at the end. OUT_OF_RANGE if events after `after` were
  // trimmed, which Bounds() shows by then; UNAVAILABLE if the store cannot be
  // read now. Blocks on the medium.
  virtual absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest& request) = 0;

  // The event with this id; NOT_FOUND. Blocks on the medium.
  virtual absl::StatusOr<StoredEventPtr> ReadById(std::string_view id,
                                                  bool include_payload) = 0;

  // The cursor position from which reading starts with the first event stored
  // at or after `time`. Blocks on the medium.
  virtual absl::StatusOr<Sequence> PositionBefore(absl::Time time) = 0;

  // What is held now. Does not touch the medium.
  virtual StoreBounds Bounds() const = 0;

  // Whether appends can be expected to succeed: OK, or why not.
  virtual absl::Status Writable() const = 0;

  // Removes what the limits say, oldest first, in small steps between commits.
  // Returns once it is done or the store is closing. Blocks.
  virtual absl::Status Trim(const RetentionLimits& limits) = 0;

  // Commits and answers what waits, refuses what comes later, and lets go of
  // the medium. Idempotent. Any other call but Start may run at the same time
  // or come later: reads are finished or UNAVAILABLE, and Trim returns.
  virtual void Close() = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_EVENT_STORE_H_
