#include "ingest/receiver.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "bindbee/decoder.h"
#include "bindbee/signature.h"
#include "event/event_types.h"
#include "event/proto_time.h"
#include "ingest/identity.h"
#include "store/sequence_field.h"

namespace waggle {
namespace {

// The most that a delivery's record keeps of what a body names itself, in
// bytes.
constexpr size_t kMaxRecordedText = 128;

// The start of `text` that a record holds, cut between characters.
std::string_view CutForRecord(std::string_view text) {
  if (text.size() <= kMaxRecordedText) return text;
  size_t size = kMaxRecordedText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

google::protobuf::Duration SteadyTimeSince(
    std::chrono::steady_clock::time_point start) {
  return ToProto(absl::FromChrono(std::chrono::steady_clock::now() - start));
}

}  // namespace

Receiver::Receiver(std::vector<Endpoint> endpoints, ReceiverOptions options,
                   EventStore& store, const Clock& clock, Metrics& metrics)
    : options_(options), store_(store), clock_(clock), metrics_(metrics) {
  for (Endpoint& endpoint : endpoints) {
    const auto place = endpoints_.try_emplace(endpoint.name).first;
    EndpointState& state = place->second;
    state.name = place->first;
    state.failing = &metrics.Gauge(
        "waggle_endpoint_verification_failing",
        "1 while webhooks keep coming and none is authentic: the signing key "
        "was probably regenerated",
        {{"endpoint", endpoint.name}});
    state.last_accepted = &metrics.Gauge(
        "waggle_endpoint_last_accepted_timestamp_seconds",
        "When the last authentic webhook was stored, or found a duplicate; 0 "
        "if none was since the start.",
        {{"endpoint", endpoint.name}});
    SetSigningKeys(endpoint.name, std::move(endpoint.signing_keys));
    configured_.push_back(&state);
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

Receiver::EndpointState* Receiver::Find(std::string_view endpoint) {
  const auto found = endpoints_.find(endpoint);
  return found == endpoints_.end() ? nullptr : &found->second;
}

Receiver::KeyUse& Receiver::UseOf(EndpointState& state, const Secret& key) {
  const auto [place, is_new] = state.key_uses.try_emplace(Fingerprint(key));
  if (is_new) {
    place->second.fingerprint = place->first;
    place->second.verified = &metrics_.Counter(
        "waggle_signatures_verified_total",
        "Authentic webhooks by the fingerprint of the key that signed them",
        {{"endpoint", std::string(state.name)}, {"key", place->first}});
  }
  return place->second;
}

void Receiver::SetSigningKeys(std::string_view endpoint,
                              std::vector<Secret> signing_keys) {
  EndpointState* const state = Find(endpoint);
  if (state == nullptr) return;
  auto made = std::make_shared<SigningKeys>();
  made->keys = std::move(signing_keys);
  std::shared_ptr<const SigningKeys> replaced;
  MutexLock lock(state->mu);
  for (const Secret& key : made->keys) {
    made->uses.push_back(&UseOf(*state, key));
  }
  replaced = std::exchange(state->signing_keys, std::move(made));
}

void Receiver::Note(VerificationWatch::Change change, EndpointState& state) {
  switch (change) {
    case VerificationWatch::Change::kNone:
      return;
    case VerificationWatch::Change::kBeganToFail:
      state.failing->Set(1);
      Log(LogLevel::kError, "endpoint_verification_failing",
          {{"endpoint", state.name},
           {"reason", "no webhook was authentic for a minute"},
           {"remedy",
            "if the signing key was regenerated in Bindbee's dashboard, write "
            "the new one into a file of signing_key_files"}});
      return;
    case VerificationWatch::Change::kRecovered:
      state.failing->Set(0);
      Log(LogLevel::kInfo, "endpoint_verification_recovered",
          {{"endpoint", state.name}});
      return;
  }
}

// The body is moved all the way into the store. The decoder copies from it what
// is typed, and the parser needs a padded copy of its own.
void Receiver::Receive(ReceivedWebhook webhook, Done done) {
  const auto start = std::chrono::steady_clock::now();
  const absl::Time received_at = clock_.Now();
  const auto shared =
      std::make_shared<v1::Delivery>(std::move(webhook.delivery));
  v1::Delivery& delivery = *shared;
  EndpointState* const state = Find(delivery.endpoint());
  if (state == nullptr) {
    done(absl::NotFoundError("no such endpoint"), shared);
    return;
  }
  *delivery.mutable_received_at() = ToProto(received_at);
  delivery.set_size_bytes(webhook.body.size());
  state->last_request_at.Set(received_at);
  std::shared_ptr<const SigningKeys> signing_keys;
  {
    MutexLock lock(state->mu);
    signing_keys = state->signing_keys;
  }
  const std::optional<size_t> signer =
      Verify(signing_keys->keys, webhook.signatures, webhook.body);
  if (!signer) {
    Note(state->watch.OnFailed(received_at), *state);
    *delivery.mutable_verify_duration() = SteadyTimeSince(start);
    done(absl::UnauthenticatedError(
             "exactly one valid X-Bindbee-Webhook-Signature is needed"),
         shared);
    return;
  }
  KeyUse& key_use = *signing_keys->uses[*signer];
  key_use.verified->Increment();
  key_use.last_verified_at.Set(received_at);
  Note(state->watch.OnVerified(), *state);

  const Sha256Digest digest = DigestOf(state->name, webhook.body);
  v1::Event event = Decode(webhook.body);
  event.set_id(EventId(digest, received_at));
  event.set_endpoint(delivery.endpoint());
  event.set_traceparent(delivery.traceparent());
  *event.mutable_received_at() = delivery.received_at();

  NewEvent appending;
  appending.id = event.id();
  appending.received_at = received_at;
  appending.event.reserve(event.ByteSizeLong() + kMaxSequenceField);
  event.AppendToString(&appending.event);
  appending.payload = std::move(webhook.body);
  appending.identity = IdentityOf(event, digest, options_.identity);

  delivery.set_key_fingerprint(std::string(key_use.fingerprint));
  delivery.set_type_name(std::string(CutForRecord(event.type_name())));
  delivery.set_connector_id(std::string(CutForRecord(event.connector().id())));
  *delivery.mutable_verify_duration() = SteadyTimeSince(start);
  delivery.set_http_status(200);
  // The store's thread, which all wait for, need not find room for it then.
  delivery.mutable_event_id()->reserve(event.id().size());
  if (options_.record_deliveries) appending.delivery = shared;
  store_.Append(std::move(appending),
                [this, state, done = std::move(done), delivery = shared,
                 counter = appended_[event.type()]](
                    absl::StatusOr<Appended> appended) mutable {
                  if (appended.ok()) {
                    if (!appended->duplicate) counter->Increment();
                    const absl::Time now = clock_.Now();
                    state->last_accepted_at.Set(now);
                    state->last_accepted->Set(
                        absl::ToDoubleSeconds(now - absl::UnixEpoch()));
                  }
                  done(std::move(appended), std::move(delivery));
                });
}

void Receiver::NoteRefused(std::string_view endpoint) {
  if (EndpointState* const state = Find(endpoint)) {
    state->last_request_at.Set(clock_.Now());
  }
}

std::vector<EndpointSnapshot> Receiver::Endpoints() const {
  std::vector<EndpointSnapshot> snapshots;
  for (const EndpointState* state : configured_) {
    EndpointSnapshot& snapshot = snapshots.emplace_back();
    snapshot.name = state->name;
    snapshot.last_request_at = state->last_request_at.Get();
    snapshot.last_accepted_at = state->last_accepted_at.Get();
    snapshot.verification_failing = state->watch.failing();
    MutexLock lock(state->mu);
    // The same key may stand in several files.
    std::set<const KeyUse*> told;
    for (const KeyUse* use : state->signing_keys->uses) {
      if (!told.insert(use).second) continue;
      snapshot.keys.push_back({std::string(use->fingerprint),
                               static_cast<uint64_t>(use->verified->Value()),
                               use->last_verified_at.Get()});
    }
  }
  return snapshots;
}

}  // namespace waggle
