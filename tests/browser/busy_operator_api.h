// An OperatorApi of a gateway that has had deliveries at an even rate since it
// was made, and a minute of them before. All are computed from their ids, so
// any rate costs nothing.
#ifndef WAGGLE_TESTS_BROWSER_BUSY_OPERATOR_API_H_
#define WAGGLE_TESTS_BROWSER_BUSY_OPERATOR_API_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "ops/operator_api.h"

namespace waggle::testing {

class BusyOperatorApi : public OperatorApi {
 public:
  explicit BusyOperatorApi(double deliveries_per_second);

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
  uint64_t newest() const;
  v1::Delivery DeliveryOf(uint64_t id) const;
  v1::Event EventOf(uint64_t id) const;

  const double rate_;
  const absl::Time started_at_;
};

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_BROWSER_BUSY_OPERATOR_API_H_
