// OperatorApi over the delivery log and the store: the one piece that answers,
// whatever the door.
#ifndef WAGGLE_OPS_OPERATOR_QUERIES_H_
#define WAGGLE_OPS_OPERATOR_QUERIES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "ops/operator_api.h"
#include "ops/subscriber_journal.h"
#include "store/delivery_log.h"
#include "store/event_store.h"

namespace waggle {

// What else there is to know about the gateway. Functions are called from any
// thread and must not block.
struct GatewaySources {
  std::string version;
  absl::Time started_at;
  RetentionLimits retention;
  // OK, or why webhooks cannot be taken now.
  std::function<absl::Status()> readiness;
  // In the order of the configuration.
  std::function<std::vector<v1::EndpointState>()> endpoints;
  // Of the last hour, oldest first.
  std::function<std::vector<v1::RatePoint>()> rates;
};

class OperatorQueries final : public OperatorApi {
 public:
  // All must outlive the object.
  OperatorQueries(EventStore& store, DeliveryLog& log,
                  SubscriberJournal& subscribers, const Clock& clock,
                  GatewaySources gateway);

  absl::StatusOr<v1::ListDeliveriesResponse> ListDeliveries(
      const v1::ListDeliveriesRequest& request, const Caller& caller) override;
  absl::StatusOr<v1::GetDeliveryResponse> GetDelivery(
      const v1::GetDeliveryRequest& request, const Caller& caller) override;
  absl::StatusOr<v1::CheckDeliveryResponse> CheckDelivery(
      const v1::CheckDeliveryRequest& request, const Caller& caller) override;
  absl::StatusOr<v1::GetGatewayResponse> GetGateway(
      const v1::GetGatewayRequest& request, const Caller& caller) override;
  absl::StatusOr<v1::ListSubscribersResponse> ListSubscribers(
      const v1::ListSubscribersRequest& request, const Caller& caller) override;
  absl::StatusOr<v1::GetEventResponse> GetEvent(
      const v1::GetEventRequest& request, const Caller& caller) override;

 private:
  EventStore& store_;
  DeliveryLog& log_;
  SubscriberJournal& subscribers_;
  const Clock& clock_;
  const GatewaySources gateway_;
};

}  // namespace waggle

#endif  // WAGGLE_OPS_OPERATOR_QUERIES_H_
