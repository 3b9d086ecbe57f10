// "Did that webhook arrive, and what became of it?": the story of a sync, a
// record, a connector or an origin, put together from the events, the delivery
// log and the journal of streams.
#ifndef WAGGLE_OPS_DELIVERY_CHECK_H_
#define WAGGLE_OPS_DELIVERY_CHECK_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "security/rights.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "waggle/v1/delivery_service.pb.h"

namespace waggle {

// As DeliveryService.CheckDelivery, whose comments are the contract; errors are
// OperatorApi's. Looks at a bounded number of events and deliveries, for a
// bounded time. Blocks on the store.
absl::StatusOr<v1::CheckDeliveryResponse> CheckDelivery(
    EventStore& store, DeliveryLog& log,
    const v1::CheckDeliveryRequest& request, const Rights& rights,
    absl::Time now);

}  // namespace waggle

#endif  // WAGGLE_OPS_DELIVERY_CHECK_H_
