// The use case: a webhook comes in; if it is authentic it becomes a stored
// event, with the record of its delivery. Verifies, decodes, appends; knows
// neither HTTP nor a particular store.
#ifndef WAGGLE_INGEST_RECEIVER_H_
#define WAGGLE_INGEST_RECEIVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/secret.h"
#include "base/sha256.h"
#include "ingest/identity.h"
#include "ingest/verification_watch.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "waggle/v1/delivery.pb.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// An endpoint that Bindbee posts to.
struct Endpoint {
  std::string name;
  // Bindbee's signing keys for it; any of them may have signed. At least one.
  std::vector<Secret> signing_keys;
};

struct ReceiverOptions {
  IdentityOptions identity = {};
  // Whether the store is given what the delivery log says of an event. Only a
  // benchmark does without.
  bool record_deliveries = true;
};

// A request that was read to its end.
struct ReceivedWebhook {
  // The values of all its signature headers, as they stand.
  absl::Span<const std::string_view> signatures;
  std::string body;
  // What is known of the delivery already: its endpoint, where it came from,
  // how long it took to read, its trace.
  v1::Delivery delivery;
};

// A signing key in use, and what it signed since the process began.
struct SigningKeySnapshot {
  std::string fingerprint;
  uint64_t verified = 0;
  // InfinitePast: none.
  absl::Time last_verified_at = absl::InfinitePast();
};

// How an endpoint is doing. Times are of this process; InfinitePast: never.
struct EndpointSnapshot {
  std::string name;
  // In the order of the configuration, each once.
  std::vector<SigningKeySnapshot> keys;
  // Of any request, whatever became of it.
  absl::Time last_request_at = absl::InfinitePast();
  // Of an authentic one that was stored, or found a duplicate.
  absl::Time last_accepted_at = absl::InfinitePast();
  // Webhooks keep coming, and none is authentic.
  bool verification_failing = false;
};

// Thread-safe.
class Receiver {
 public:
  // What became of the event, and all that was found out about the delivery.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Appended>, DeliveryPtr)>;

  // `store`, `clock` and `metrics` must outlive the receiver, which in turn
  // must outlive what it has appended: the store is closed first.
  Receiver(std::vector<Endpoint> endpoints, ReceiverOptions options,
           EventStore& store, const Clock& clock, Metrics& metrics);
  ~Receiver();

  // Exchanges the keys of an endpoint, of which there must be at least one; a
  // webhook that comes after this is verified with the new ones. Of no effect
  // for an endpoint that there is not.
  void SetSigningKeys(std::string_view endpoint,
                      std::vector<Secret> signing_keys);

  // Takes a webhook of the endpoint that its delivery names. Verification and
  // decoding happen on the caller's thread. Calls `done` once: at once for what
  // is refused, else on the store's thread once the event is durable; it must
  // not block. Errors:
  //   NOT_FOUND        no such endpoint
  //   UNAUTHENTICATED  not exactly one signature, or it is malformed or wrong
  //   others           of EventStore::Append
  void Receive(ReceivedWebhook webhook, Done done);

  // Is told of a request to the endpoint that was refused before it could be
  // received.
  void NoteRefused(std::string_view endpoint);

  // In the order of the configuration.
  std::vector<EndpointSnapshot> Endpoints() const;

 private:
  // A moment that threads note and others read.
  class Moment {
   public:
    void Set(absl::Time time) { nanos_ = absl::ToUnixNanos(time); }
    absl::Time Get() const {
      const int64_t nanos = nanos_;
      return nanos == kNever ? absl::InfinitePast()
                             : absl::FromUnixNanos(nanos);
    }

   private:
    static constexpr int64_t kNever = INT64_MIN;
    std::atomic<int64_t> nanos_{kNever};
  };
  // What a key has signed.
  struct KeyUse {
    std::string_view fingerprint;
    // Shows when nobody signs with an old key any more, so that it can go.
    prometheus::Counter* verified = nullptr;
    Moment last_verified_at;
  };
  // Immutable and shared with the webhooks that are being verified.
  struct SigningKeys {
    std::vector<Secret> keys;
    // By the index of the key.
    std::vector<KeyUse*> uses;
  };
  struct EndpointState {
    std::string_view name;
    mutable Mutex mu;
    std::shared_ptr<const SigningKeys> signing_keys ABSL_GUARDED_BY(mu);
    // Of all keys there ever were, by fingerprint: a key that comes back goes
    // on, as its counter does.
    std::map<std::string, KeyUse> key_uses ABSL_GUARDED_BY(mu);
    VerificationWatch watch;
    // 1 while nothing that comes is authentic.
    prometheus::Gauge* failing = nullptr;
    prometheus::Gauge* last_accepted = nullptr;
    Moment last_request_at;
    Moment last_accepted_at;
  };
  // By v1::EventType; the one for UNSPECIFIED counts what is unrecognized.
  using AppendedCounters =
      std::array<prometheus::Counter*, v1::EventType_ARRAYSIZE>;

  EndpointState* Find(std::string_view endpoint);
  KeyUse& UseOf(EndpointState& state, const Secret& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mu);
  static void Note(VerificationWatch::Change change, EndpointState& state);

  std::map<std::string, EndpointState, std::less<>> endpoints_;
  // In the order of the configuration.
  std::vector<const EndpointState*> configured_;
  const ReceiverOptions options_;
  EventStore& store_;
  const Clock& clock_;
  Metrics& metrics_;
  AppendedCounters appended_;
};

}  // namespace waggle

#endif  // WAGGLE_INGEST_RECEIVER_H_
