// What every call passes before anything else: how often its address calls,
// who is calling, and how often they do; and where its end is counted. A method
// that has no rule here is refused, so that a new one is closed until somebody
// says who may call it.
//
//   Admission admission;
//   grpc::Status status = gate.Admit(*context, kMethod, admission);
//   if (!status.ok()) ... refuse the call with it ...
//   ...
//   gate.CountEnd(kMethod, status.error_code());
#ifndef WAGGLE_RPC_GATE_H_
#define WAGGLE_RPC_GATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "base/rate_limiter.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "rpc/errors.h"
#include "security/access_control.h"

namespace waggle::rpc {

// The methods that callers may call, by their full names.
inline constexpr std::string_view kSubscribeMethod =
    "/waggle.v1.EventService/Subscribe";
inline constexpr std::string_view kListEventsMethod =
    "/waggle.v1.EventService/ListEvents";
inline constexpr std::string_view kGetEventMethod =
    "/waggle.v1.EventService/GetEvent";
inline constexpr std::string_view kListDeliveriesMethod =
    "/waggle.v1.DeliveryService/ListDeliveries";
inline constexpr std::string_view kGetDeliveryMethod =
    "/waggle.v1.DeliveryService/GetDelivery";
inline constexpr std::string_view kWatchDeliveriesMethod =
    "/waggle.v1.DeliveryService/WatchDeliveries";
inline constexpr std::string_view kCheckDeliveryMethod =
    "/waggle.v1.DeliveryService/CheckDelivery";
inline constexpr std::string_view kGetGatewayMethod =
    "/waggle.v1.GatewayService/GetGateway";
inline constexpr std::string_view kListSubscribersMethod =
    "/waggle.v1.GatewayService/ListSubscribers";

struct GateLimits {
  // Calls a second, and as many at once after a quiet second.
  double requests_per_second_per_principal = 1000;
  double requests_per_second_per_address = 2000;
};

// A call that was let in.
struct Admission {
  Caller caller;
  // As of AddressKey().
  std::string address;
  // The address and port.
  std::string connection;
  // AccessControl's when the caller was recognised.
  uint64_t generation = 0;
};

// Thread-safe.
class Gate {
 public:
  // `access` and `metrics` must outlive the gate.
  Gate(const AccessControl& access, const GateLimits& limits, Metrics& metrics);

  // OK, or what to end the call with; then it was counted and logged.
  grpc::Status Admit(const grpc::CallbackServerContext& context,
                     std::string_view method, Admission& admission);

  // The same for a method that is for everybody, whom it does not recognise:
  // only how often its address calls counts.
  grpc::Status AdmitAnybody(const grpc::CallbackServerContext& context,
                            std::string_view method, Admission& admission);

  // Counts and logs the end of a call that was let in and turned out to ask for
  // more than its caller may have, and gives it back.
  grpc::Status Refuse(const Admission& admission, std::string_view method,
                      grpc::Status status);
  grpc::Status Refuse(const Admission& admission, std::string_view method,
                      const MissingRight& missing) {
    return Refuse(admission, method,
                  RightMissing(admission.caller.principal->name, missing));
  }

  // Counts a call of any method by how it ended; of one with one response, also
  // how long it took.
  void CountEnd(std::string_view method, grpc::StatusCode code);
  void CountEnd(std::string_view method, grpc::StatusCode code,
                absl::Duration duration);

  const AccessControl& access() const { return access_; }

 private:
  // Notes where the call comes from, and takes from what its address may.
  grpc::Status CountAddress(const grpc::CallbackServerContext& context,
                            Admission& admission);
  grpc::Status Decide(const grpc::CallbackServerContext& context,
                      std::string_view method, Admission& admission);
  void Note(const grpc::Status& status, std::string_view method,
            const Admission& admission);

  const AccessControl& access_;
  const GateLimits limits_;
  Metrics& metrics_;
  RateLimiter addresses_;
  RateLimiter principals_;
  // Of lines in the log.
  RateLimiter lines_;
};

// The address in what grpc::ServerContext::peer() gives, such as
// "ipv6:%5B::1%5D:5000"; what is no address stands for itself.
std::string PeerAddress(std::string_view peer);

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_GATE_H_
