// What makes two deliveries one, and what the event is called that becomes of
// them: functions of what arrived, so that whoever stores an event again gives
// it the identity that it had.
#ifndef WAGGLE_INGEST_IDENTITY_H_
#define WAGGLE_INGEST_IDENTITY_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/sha256.h"
#include "store/event_store.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

struct IdentityOptions {
  // For how long a second arrival of one body is a duplicate, for events that
  // can honestly repeat.
  absl::Duration dedup_window = absl::Minutes(10);
  // Whether it is for ever, as far as the event is retained, for the events of
  // a sync that Bindbee sends once: started, completed, failed.
  bool dedup_syncs_while_retained = true;
};

// What makes deliveries equal: the endpoint and the body.
Sha256Digest DigestOf(std::string_view endpoint, std::string_view body);

// The identity of the delivery that became `event`.
DeliveryIdentity IdentityOf(const v1::Event& event, const Sha256Digest& digest,
                            const IdentityOptions& options);

// A UUID version 7 (RFC 9562). The same arrival always makes the same id, and a
// second one another.
std::string EventId(const Sha256Digest& digest, absl::Time received_at);

}  // namespace waggle

#endif  // WAGGLE_INGEST_IDENTITY_H_
