// What operators ask, whatever door they ask it at: the delivery log, who is
// connected, how the gateway is doing, one event with its payload. gRPC's
// DeliveryService and GatewayService and the admin door's page all answer by
// this, so they judge rights alike and say the same.
//
// Requests and responses are those of the protos, whose comments are the
// contract. Errors, for either door to translate:
//   INVALID_ARGUMENT     a field breaks the contract; FieldViolationsOf() says
//                        which: "page_token" alone if it is none of a request
//                        with this filter
//   PERMISSION_DENIED    the caller lacks a right; MissingRightOf() says which
//   NOT_FOUND, UNAVAILABLE
// All calls block on the store, but GetGateway and ListSubscribers.
#ifndef WAGGLE_OPS_OPERATOR_API_H_
#define WAGGLE_OPS_OPERATOR_API_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "event/filter.h"
#include "security/access_control.h"
#include "security/rights.h"
#include "waggle/v1/delivery_service.pb.h"
#include "waggle/v1/event_service.pb.h"
#include "waggle/v1/gateway_service.pb.h"

namespace waggle {

// Thread-safe.
class OperatorApi {
 public:
  virtual ~OperatorApi() = default;

  virtual absl::StatusOr<v1::ListDeliveriesResponse> ListDeliveries(
      const v1::ListDeliveriesRequest& request, const Caller& caller) = 0;
  virtual absl::StatusOr<v1::GetDeliveryResponse> GetDelivery(
      const v1::GetDeliveryRequest& request, const Caller& caller) = 0;
  virtual absl::StatusOr<v1::CheckDeliveryResponse> CheckDelivery(
      const v1::CheckDeliveryRequest& request, const Caller& caller) = 0;
  virtual absl::StatusOr<v1::GetGatewayResponse> GetGateway(
      const v1::GetGatewayRequest& request, const Caller& caller) = 0;
  virtual absl::StatusOr<v1::ListSubscribersResponse> ListSubscribers(
      const v1::ListSubscribersRequest& request, const Caller& caller) = 0;
  // As EventService.GetEvent.
  virtual absl::StatusOr<v1::GetEventResponse> GetEvent(
      const v1::GetEventRequest& request, const Caller& caller) = 0;
};

// The errors that say more than their message, and what they say: each of the
// readers gives back nothing for any other status.
absl::Status InvalidFieldsError(const std::vector<FieldViolation>& violations);
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);
absl::Status MissingRightError(const MissingRight& missing);
std::optional<MissingRight> MissingRightOf(const absl::Status& status);

}  // namespace waggle

#endif  // WAGGLE_OPS_OPERATOR_API_H_
