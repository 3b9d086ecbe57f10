#include "ingest/receiver.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "bindbee/decoder.h"
#include "bindbee/signature.h"
#include "event/event_types.h"
#include "google/protobuf/util/time_util.h"
#include "store/sequence_field.h"
#include "store/uuid.h"

namespace waggle {
namespace {

using ::google::protobuf::util::TimeUtil;

// The most that is kept of a sync's id to lead an index: the length of a UUID.
constexpr size_t kMaxIndexPrefix = 36;

std::string_view AsText(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// What makes deliveries equal: the endpoint and the body, parted by a byte that
// no endpoint's name holds.
Sha256Digest DigestOf(std::string_view endpoint, std::string_view body) {
  return Sha256({endpoint, std::string_view("\0", 1), body});
}

// A UUID version 7 (RFC 9562): the milliseconds of the arrival in 48 bits, and
// in place of random bits a digest of what arrived and of the exact moment. The
// same arrival always makes the same id, and a second one another.
std::string EventId(const Sha256Digest& identity, absl::Time received_at) {
  const int64_t nanos = std::max<int64_t>(absl::ToUnixNanos(received_at), 0);
  const Sha256Digest bits =
      Sha256({AsText(identity),
              {reinterpret_cast<const char*>(&nanos), sizeof(nanos)}});
  Uuid uuid;
  std::copy_n(bits.begin(), uuid.size(), uuid.begin());
  const int64_t millis = nanos / 1'000'000;
  for (size_t i = 0; i < 6; ++i) {
    uuid[i] = static_cast<uint8_t>(millis >> (8 * (5 - i)));
  }
  uuid[6] = 0x70 | (uuid[6] & 0x0f);
  uuid[8] = 0x80 | (uuid[8] & 0x3f);
  return UnpackUuid(uuid);
}

// Whether Bindbee sends this event once for its sync.
bool IsOncePerSync(const v1::Event& event) {
  switch (event.type()) {
    case v1::EVENT_TYPE_SYNC_STARTED:
    case v1::EVENT_TYPE_SYNC_COMPLETED:
    case v1::EVENT_TYPE_SYNC_FAILED:
      return !event.sync().id().empty();
    default:
      return false;
  }
}

}  // namespace

Receiver::Receiver(std::vector<Endpoint> endpoints, ReceiverOptions options,
                   EventStore& store, const Clock& clock, Metrics& metrics)
    : options_(options), store_(store), clock_(clock), metrics_(metrics) {
  for (Endpoint& endpoint : endpoints) {
    EndpointState& state = endpoints_[endpoint.name];
    state.failing = &metrics.Gauge(
        "waggle_endpoint_verification_failing",
        "1 while webhooks keep coming and none is authentic: the signing key "
        "was probably regenerated",
        {{"endpoint", endpoint.name}});
    SetSigningKeys(endpoint.name, std::move(endpoint.signing_keys));
  }
  const auto counter = [&metrics](std::string_view type) {
    return &metrics.Counter("waggle_events_appended_total",
                            "Events stored, without duplicates",
                            {{"type", std::string(type)}});
  };
  appended_.fill(counter("unrecognized"));
  for (const auto& [type, name] : EventTypeNames()) {
    appended_[type] = counter(name);
  }
}

Receiver::~Receiver() = default;

std::shared_ptr<const Receiver::SigningKeys> Receiver::MakeSigningKeys(
    const std::string& endpoint, std::vector<Secret> keys) {
  auto signing_keys = std::make_shared<SigningKeys>();
  for (const Secret& key : keys) {
    signing_keys->verified.push_back(&metrics_.Counter(
        "waggle_signatures_verified_total",
        "Authentic webhooks by the fingerprint of the key that signed them",
        {{"endpoint", endpoint}, {"key", Fingerprint(key)}}));
  }
  signing_keys->keys = std::move(keys);
  return signing_keys;
}

void Receiver::SetSigningKeys(std::string_view endpoint,
                              std::vector<Secret> signing_keys) {
  const auto found = endpoints_.find(endpoint);
  if (found == endpoints_.end()) return;
  auto keys = MakeSigningKeys(found->first, std::move(signing_keys));
  // What was before is let go outside the lock.
  MutexLock lock(found->second.mu);
  found->second.signing_keys.swap(keys);
}

void Receiver::Note(VerificationWatch::Change change, std::string_view endpoint,
                    EndpointState& state) {
  switch (change) {
    case VerificationWatch::Change::kNone:
      return;
    case VerificationWatch::Change::kBeganToFail:
      state.failing->Set(1);
      Log(LogLevel::kError, "endpoint_verification_failing",
          {{"endpoint", endpoint},
           {"reason", "no webhook was authentic for a minute"},
           {"remedy",
            "if the signing key was regenerated in Bindbee's dashboard, write "
            "the new one into a file of signing_key_files"}});
      return;
    case VerificationWatch::Change::kRecovered:
      state.failing->Set(0);
      Log(LogLevel::kInfo, "endpoint_verification_recovered",
          {{"endpoint", endpoint}});
      return;
  }
}

// The body is moved all the way into the store. The decoder copies from it what
// is typed, and the parser needs a padded copy of its own.
void Receiver::Receive(std::string_view endpoint,
                       absl::Span<const std::string_view> signatures,
                       std::string body, Done done) {
  const auto found = endpoints_.find(endpoint);
  if (found == endpoints_.end()) {
    done(absl::NotFoundError("no such endpoint"));
    return;
  }
  EndpointState& state = found->second;
  std::shared_ptr<const SigningKeys> signing_keys;
  {
    MutexLock lock(state.mu);
    signing_keys = state.signing_keys;
  }
  const std::optional<size_t> signer =
      Verify(signing_keys->keys, signatures, body);
  if (!signer) {
    Note(state.watch.OnFailed(clock_.Now()), endpoint, state);
    done(absl::UnauthenticatedError(
        "exactly one valid X-Bindbee-Webhook-Signature is needed"));
    return;
  }
  signing_keys->verified[*signer]->Increment();
  Note(state.watch.OnVerified(), endpoint, state);

  const absl::Time received_at = clock_.Now();
  const Sha256Digest digest = DigestOf(endpoint, body);
  v1::Event event = Decode(body);
  event.set_id(EventId(digest, received_at));
  event.set_endpoint(endpoint.data(), endpoint.size());
  *event.mutable_received_at() =
      TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(received_at));

  NewEvent appending;
  appending.id = event.id();
  appending.received_at = received_at;
  appending.event.reserve(event.ByteSizeLong() + kMaxSequenceField);
  event.AppendToString(&appending.event);
  appending.payload = std::move(body);
  appending.identity = IdentityOf(event, digest);
  store_.Append(std::move(appending),
                [done = std::move(done),
                 type_name = std::move(*event.mutable_type_name()),
                 counter = appended_[event.type()]](
                    absl::StatusOr<Appended> appended) mutable {
                  if (!appended.ok()) {
                    done(std::move(appended).status());
                    return;
                  }
                  if (!appended->duplicate) counter->Increment();
                  done(Received{*std::move(appended), std::move(type_name)});
                });
}

DeliveryIdentity Receiver::IdentityOf(const v1::Event& event,
                                      const Sha256Digest& digest) const {
  DeliveryIdentity identity;
  identity.digest = AsText(digest);
  if (options_.dedup_syncs_while_retained && IsOncePerSync(event)) {
    identity.index_prefix = event.sync().id().substr(0, kMaxIndexPrefix);
    identity.window = absl::InfiniteDuration();
  } else {
    identity.window = options_.dedup_window;
  }
  return identity;
}

}  // namespace waggle
