#include "event_feed.h"

#include <cstdio>
#include <utility>

#include "absl/time/clock.h"
#include "base/sha256.h"
#include "bindbee/decoder.h"
#include "bindbee/samples.h"
#include "child_process.h"
#include "store/sequence_field.h"
#include "waggle/v1/event.pb.h"

namespace waggle::bench {
namespace {

constexpr char kSample[] = "data_modified";
constexpr char kAnyId[] = "0191a001-5555-7aaa-8bbb-0000000000e1";

}  // namespace

EventFeed::EventFeed() : payload_(FindSample(kSample)->body) {
  v1::Event event = Decode(payload_);
  event.set_id(kAnyId);
  event.set_endpoint("bindbee");
  event.mutable_received_at()->set_seconds(1'750'000'000);
  event.mutable_received_at()->set_nanos(123'456'789);
  event_ = event.SerializeAsString();
  id_in_event_ = event_.find(kAnyId);
}

NewEvent EventFeed::Next() {
  char id[sizeof(kAnyId)];
  std::snprintf(id, sizeof(id), "0191a001-5555-7aaa-8bbb-%012llx",
                static_cast<unsigned long long>(++made_));
  event_.replace(id_in_event_, sizeof(id) - 1, id);
  NewEvent event;
  event.id = id;
  event.received_at = absl::Now();
  event.event.reserve(event_.size() + kMaxSequenceField);
  event.event = event_;
  event.payload = payload_;
  const Sha256Digest digest = Sha256({id});
  event.identity.digest.assign(digest.begin(), digest.end());
  event.identity.index_prefix = id;
  event.identity.window = absl::InfiniteDuration();
  return event;
}

StoredEvent EventFeed::Stored() {
  StoredEvent stored;
  stored.sequence = Sequence(1'000'000);
  stored.event = Next().event;
  AppendSequenceField(stored.sequence, stored.event);
  return stored;
}

Appender::~Appender() { WaitUntilFewerThan(1); }

void Appender::Append(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    WaitUntilFewerThan(kMostWaiting);
    {
      MutexLock lock(mu_);
      ++waiting_;
    }
    store_.Append(feed_.Next(), [this](absl::StatusOr<Appended> appended) {
      if (!appended.ok()) Die(appended.status().ToString());
      MutexLock lock(mu_);
      // Half of them at once: the producer need not wake for each.
      if (--waiting_ == kMostWaiting / 2 || waiting_ == 0) answered_.Signal();
    });
  }
}

void Appender::WaitUntilFewerThan(size_t count) {
  MutexLock lock(mu_);
  while (waiting_ >= count) answered_.Wait(mu_);
}

}  // namespace waggle::bench
