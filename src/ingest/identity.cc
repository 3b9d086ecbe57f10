#include "ingest/identity.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "store/uuid.h"

namespace waggle {
namespace {

// The most that is kept of a sync's id to lead an index: the length of a UUID.
constexpr size_t kMaxIndexPrefix = 36;

std::string_view AsText(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
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

// Parted by a byte that no endpoint's name holds.
Sha256Digest DigestOf(std::string_view endpoint, std::string_view body) {
  return Sha256({endpoint, std::string_view("\0", 1), body});
}

DeliveryIdentity IdentityOf(const v1::Event& event, const Sha256Digest& digest,
                            const IdentityOptions& options) {
  DeliveryIdentity identity;
  identity.digest = AsText(digest);
  if (options.dedup_syncs_while_retained && IsOncePerSync(event)) {
    identity.index_prefix = event.sync().id().substr(0, kMaxIndexPrefix);
    identity.window = absl::InfiniteDuration();
  } else {
    identity.window = options.dedup_window;
  }
  return identity;
}

// The milliseconds of the arrival in 48 bits, and in place of random bits a
// digest of what arrived and of the exact moment.
std::string EventId(const Sha256Digest& digest, absl::Time received_at) {
  const int64_t nanos = std::max<int64_t>(absl::ToUnixNanos(received_at), 0);
  const Sha256Digest bits = Sha256(
      {AsText(digest), {reinterpret_cast<const char*>(&nanos), sizeof(nanos)}});
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

}  // namespace waggle
