// The use case: a webhook comes in; if it is authentic it becomes a stored
// event. Verifies, decodes, appends; knows neither HTTP nor a particular store.
#ifndef WAGGLE_INGEST_RECEIVER_H_
#define WAGGLE_INGEST_RECEIVER_H_

#include <array>
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
#include "ingest/verification_watch.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "store/event_store.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// An endpoint that Bindbee posts to.
struct Endpoint {
  std::string name;
  // Bindbee's signing keys for it; any of them may have signed. At least one.
  std::vector<Secret> signing_keys;
};

struct ReceiverOptions {
  // For how long a second arrival of one body is a duplicate, for events that
  // can honestly repeat.
  absl::Duration dedup_window = absl::Minutes(10);
  // Whether it is for ever, as far as the event is retained, for the events of
  // a sync that Bindbee sends once: started, completed, failed.
  bool dedup_syncs_while_retained = true;
};

// What became of a webhook that was stored.
struct Received {
  Appended appended;
  // webhook.event; empty if the body named none.
  std::string type_name;
};

// Thread-safe.
class Receiver {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<Received>)>;

  // `store`, `clock` and `metrics` must outlive the receiver.
  Receiver(std::vector<Endpoint> endpoints, ReceiverOptions options,
           EventStore& store, const Clock& clock, Metrics& metrics);
  ~Receiver();

  // Exchanges the keys of an endpoint, of which there must be at least one; a
  // webhook that comes after this is verified with the new ones. Of no effect
  // for an endpoint that there is not.
  void SetSigningKeys(std::string_view endpoint,
                      std::vector<Secret> signing_keys);

  // Takes a webhook of the endpoint: the values of all its signature headers
  // (as they stand) and its body. Verification and decoding happen on the
  // caller's thread. Calls `done` once: at once for what is refused, else on
  // the store's thread once the event is durable; it must not block. Errors:
  //   NOT_FOUND        no such endpoint
  //   UNAUTHENTICATED  not exactly one signature, or it is malformed or wrong
  //   others           of EventStore::Append
  void Receive(std::string_view endpoint,
               absl::Span<const std::string_view> signatures, std::string body,
               Done done);

 private:
  // Immutable and shared with the webhooks that are being verified.
  struct SigningKeys {
    std::vector<Secret> keys;
    // By the index of the key: shows when nobody signs with an old one any
    // more, so that it can go.
    std::vector<prometheus::Counter*> verified;
  };
  struct EndpointState {
    Mutex mu;
    std::shared_ptr<const SigningKeys> signing_keys ABSL_GUARDED_BY(mu);
    VerificationWatch watch;
    // 1 while nothing that comes is authentic.
    prometheus::Gauge* failing;
  };
  // By v1::EventType; the one for UNSPECIFIED counts what is unrecognized.
  using AppendedCounters =
      std::array<prometheus::Counter*, v1::EventType_ARRAYSIZE>;

  std::shared_ptr<const SigningKeys> MakeSigningKeys(
      const std::string& endpoint, std::vector<Secret> keys);
  static void Note(VerificationWatch::Change change, std::string_view endpoint,
                   EndpointState& state);
  DeliveryIdentity IdentityOf(const v1::Event& event,
                              const Sha256Digest& digest) const;

  std::map<std::string, EndpointState, std::less<>> endpoints_;
  const ReceiverOptions options_;
  EventStore& store_;
  const Clock& clock_;
  Metrics& metrics_;
  AppendedCounters appended_;
};

}  // namespace waggle

#endif  // WAGGLE_INGEST_RECEIVER_H_
