// An OperatorApi whose answers a test gives; by itself it gives empty ones.
#ifndef WAGGLE_TESTS_FAKES_MOCK_OPERATOR_API_H_
#define WAGGLE_TESTS_FAKES_MOCK_OPERATOR_API_H_

#include "gmock/gmock.h"
#include "ops/operator_api.h"

namespace waggle::testing {

class MockOperatorApi : public OperatorApi {
 public:
  MockOperatorApi() {
    using ::testing::_;
    using ::testing::Return;
    ON_CALL(*this, ListDeliveries(_, _))
        .WillByDefault(Return(v1::ListDeliveriesResponse()));
    ON_CALL(*this, GetDelivery(_, _))
        .WillByDefault(Return(v1::GetDeliveryResponse()));
    ON_CALL(*this, CheckDelivery(_, _))
        .WillByDefault(Return(v1::CheckDeliveryResponse()));
    ON_CALL(*this, GetGateway(_, _))
        .WillByDefault(Return(v1::GetGatewayResponse()));
    ON_CALL(*this, ListSubscribers(_, _))
        .WillByDefault(Return(v1::ListSubscribersResponse()));
    ON_CALL(*this, GetEvent(_, _))
        .WillByDefault(Return(v1::GetEventResponse()));
  }

  MOCK_METHOD(absl::StatusOr<v1::ListDeliveriesResponse>, ListDeliveries,
              (const v1::ListDeliveriesRequest&, const Caller&), (override));
  MOCK_METHOD(absl::StatusOr<v1::GetDeliveryResponse>, GetDelivery,
              (const v1::GetDeliveryRequest&, const Caller&), (override));
  MOCK_METHOD(absl::StatusOr<v1::CheckDeliveryResponse>, CheckDelivery,
              (const v1::CheckDeliveryRequest&, const Caller&), (override));
  MOCK_METHOD(absl::StatusOr<v1::GetGatewayResponse>, GetGateway,
              (const v1::GetGatewayRequest&, const Caller&), (override));
  MOCK_METHOD(absl::StatusOr<v1::ListSubscribersResponse>, ListSubscribers,
              (const v1::ListSubscribersRequest&, const Caller&), (override));
  MOCK_METHOD(absl::StatusOr<v1::GetEventResponse>, GetEvent,
              (const v1::GetEventRequest&, const Caller&), (override));
};

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_FAKES_MOCK_OPERATOR_API_H_
