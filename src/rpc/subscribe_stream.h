// One Subscribe call: a reactor that writes what its subscription gives, one
// message at a time, with heartbeats between, until either side ends it.
#ifndef WAGGLE_RPC_SUBSCRIBE_STREAM_H_
#define WAGGLE_RPC_SUBSCRIBE_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "event/sequence.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/subscriber_journal.h"
#include "rpc/gate.h"
#include "rpc/stream_registry.h"
#include "security/access_control.h"
#include "stream/event_hub.h"
#include "stream/subscription.h"

namespace waggle::rpc {

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

// All calls may come from any thread: gRPC's reactions, the hub's and readers'
// wake-ups, the registry's ticks. mu_ orders them; it is taken before any lock
// of the stream library, and held while gRPC operations are started, which
// never call back on the same stack. `context` is used under it only, and only
// before Finish: gRPC lets go of it any time after.
//
// Lifetime: the stream holds itself from Create() to OnDone(); whoever wakes it
// holds it weakly.
class SubscribeStream final
    : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
      public Stream,
      public Subscriber,
      public std::enable_shared_from_this<SubscribeStream> {
 public:
  // Everything but `context` must outlive the stream; gRPC keeps `context`.
  static std::shared_ptr<SubscribeStream> Create(
      EventHub& hub, StreamRegistry& registry, SubscriberJournal& journal,
      Gate& gate, grpc::CallbackServerContext& context);

  // Starts to stream, with a first response that tells the position.
  void Begin(const StreamOptions& options);
  // Ends a stream that has not begun.
  void Refuse(const grpc::Status& status);

  void Tick() override;
  void Drain() override;
  void Abort() override;

  SubscriberReport Report() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  SubscribeStream(EventHub& hub, StreamRegistry& registry,
                  SubscriberJournal& journal, Gate& gate,
                  grpc::CallbackServerContext& context);

  void Wake();
  // The transport has taken a message with events.
  void NoteHandover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why the stream must end by the access policy of now; OK if it need not.
  grpc::Status CheckRights() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Does what is due, if no write is under way.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Write(BatchPtr batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteHeartbeat() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the stream after telling the position, if the client does not know it.
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishOnce(const grpc::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  grpc::Status FailureStatus() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  EventHub& hub_;
  StreamRegistry& registry_;
  SubscriberJournal& journal_;
  Gate& gate_;
  const AccessControl& access_;
  grpc::CallbackServerContext& context_;

  Mutex mu_;
  std::shared_ptr<SubscribeStream> self_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Subscription> subscription_ ABSL_GUARDED_BY(mu_);
  StreamOptions options_ ABSL_GUARDED_BY(mu_);
  // Why its rights end it; OK while they do not.
  grpc::Status revoked_ ABSL_GUARDED_BY(mu_);
  // Of steady time: when it is cut, if its client has not read its end.
  absl::Time cut_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // Of steady time.
  absl::Time opened_at_ ABSL_GUARDED_BY(mu_);
  absl::Time rotate_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time written_at_ ABSL_GUARDED_BY(mu_);
  // Must live until OnWriteDone.
  grpc::ByteBuffer message_ ABSL_GUARDED_BY(mu_);
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
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_SUBSCRIBE_STREAM_H_
