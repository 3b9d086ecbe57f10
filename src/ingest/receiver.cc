#include "ingest/receiver.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "bindbee/decoder.h"
#include "bindbee/signature.h"
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
    : options_(options), store_(store), clock_(clock) {
  for (Endpoint& endpoint : endpoints) {
    EndpointState& state = endpoints_[endpoint.name];
    state.signing_keys = std::move(endpoint.signing_keys);
    for (size_t i = 0; i < state.signing_keys.size(); ++i) {
      state.verified.push_back(&metrics.Counter(
          "waggle_signatures_verified_total",
          "Authentic webhooks by the key that signed them, by its place in "
          "the configuration, from 0",
          {{"endpoint", endpoint.name}, {"key", std::to_string(i)}}));
    }
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
  const EndpointState& state = found->second;
  const std::optional<size_t> signer =
      Verify(state.signing_keys, signatures, body);
  if (!signer) {
    done(absl::UnauthenticatedError(
        "exactly one valid X-Bindbee-Webhook-Signature is needed"));
    return;
  }
  state.verified[*signer]->Increment();

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
