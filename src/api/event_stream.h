// One stream of events, whatever door it leaves by: what its subscription
// gives, one message at a time, with heartbeats between, until either side ends
// it. A door derives the transport from it.
#ifndef WAGGLE_API_EVENT_STREAM_H_
#define WAGGLE_API_EVENT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/mutex.h"
#include "event/sequence.h"
#include "ops/subscriber_journal.h"
#include "security/access_control.h"
#include "stream/batch.h"
#include "stream/event_hub.h"
#include "stream/subscription.h"

namespace waggle {

struct StreamOptions {
  SubscriptionOptions subscription;
  // Who opened it; what they were recognised by is looked up again whenever the
  // access policy changes.
  Caller caller;
  uint64_t access_generation = 0;
  // Where from.
  std::string address;
  // The request's own, and what the rights left of them.
  Filter::Protos filters;
  Filter::Protos effective_filters;
  absl::Duration heartbeat_interval;
  // After it the stream is rotated; InfiniteDuration is never.
  absl::Duration max_age = absl::InfiniteDuration();
};

// What all streams of events are told to and counted by; must outlive them.
struct StreamBackends {
  EventHub& hub;
  StreamRegistry& registry;
  SubscriberJournal& journal;
  Gate& gate;
};

// All calls may come from any thread: the transport's reactions, the hub's and
// readers' wake-ups, the registry's ticks. mu_ orders them; it is taken before
// any lock of the stream library, and held while the transport is told what to
// do, which never calls back on the same stack.
//
// Lifetime: the transport and, while it is open, the registry and the journal
// hold the stream; whoever wakes it holds it weakly.
class EventStream : public Stream,
                    public Subscriber,
                    public std::enable_shared_from_this<EventStream> {
 public:
  // Starts to stream, with a first message that tells the position.
  void Begin(const StreamOptions& options);
  // Ends a stream that has not begun.
  void Refuse(const absl::Status& status);

  void Tick() override;
  void Drain() override;
  void Abort() override;

  SubscriberReport Report() override;

 protected:
  // `method` is one of the gate's, and lives for ever.
  EventStream(const StreamBackends& backends, std::string_view method);

  // What the transport does, told once at a time and under the lock: no message
  // while one is under way, nothing after the end.
  // Sends a message, and then calls OnSent().
  virtual void SendBatch(BatchPtr batch) = 0;
  // Lets go of what it holds of the message, which is sent or lost.
  virtual void ReleaseBatch() {}
  // Sends the end.
  virtual void SendEnd(const absl::Status& status) = 0;
  // Ends the connection of a client that does not read, perhaps its end, and
  // then calls OnSent() for the message that is under way, or OnClientGone().
  virtual void Cut() = 0;

  // What the transport reports. The message is handed over, or lost.
  void OnSent(bool ok);
  void OnClientGone();
  // Nothing can be sent any more, whether the end was or not. The last call.
  void OnTransportDone();

 private:
  void Wake();
  // The transport has taken a message with events.
  void NoteHandover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why the stream must end by the access policy of now; OK if it need not.
  absl::Status CheckRights() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Does what is due, if no message is under way.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Write(BatchPtr batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteHeartbeat() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the stream after telling the position, if the client does not know it.
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishOnce(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Failure() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  EventHub& hub_;
  StreamRegistry& registry_;
  SubscriberJournal& journal_;
  Gate& gate_;
  const std::string_view method_;

  Mutex mu_;
  std::shared_ptr<Subscription> subscription_ ABSL_GUARDED_BY(mu_);
  StreamOptions options_ ABSL_GUARDED_BY(mu_);
  // Why its rights end it; OK while they do not.
  absl::Status revoked_ ABSL_GUARDED_BY(mu_);
  // Of steady time: when it is cut, if its client has not read its end.
  absl::Time cut_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // Of steady time.
  absl::Time rotate_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time written_at_ ABSL_GUARDED_BY(mu_);
  size_t events_in_message_ ABSL_GUARDED_BY(mu_) = 0;
  // Of its oldest event; InfiniteFuture if the message was read from the store.
  absl::Time oldest_received_at_ ABSL_GUARDED_BY(mu_);
  // The cursor that was written last.
  Sequence told_ ABSL_GUARDED_BY(mu_);
  // The position before the message that was written last.
  Sequence settled_ ABSL_GUARDED_BY(mu_);
  // Has caught up, and not fallen behind what memory holds since.
  bool live_ ABSL_GUARDED_BY(mu_) = false;
  // Empty before Begin().
  std::string stream_id_ ABSL_GUARDED_BY(mu_);
  // See SubscriberReport.
  Sequence handed_through_ ABSL_GUARDED_BY(mu_);
  absl::Time handed_over_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  uint64_t delivered_ ABSL_GUARDED_BY(mu_) = 0;
  DeliveryTimes times_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  // The transport did not take the last message.
  bool lost_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  // The transport is gone.
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_API_EVENT_STREAM_H_
