// What every call passes before anything else, whatever door it comes to: how
// often its address calls, who is calling, and how often they do; and where its
// end is counted, in metrics that are named after gRPC, which most calls come
// by. A method that has no rule here is refused, so that a new one is closed
// until somebody says who may call it.
//
//   Admission admission;
//   absl::Status status = gate.Admit(call, kMethod, admission);
//   if (!status.ok()) ... refuse the call with it ...
//   ...
//   gate.CountEnd(kMethod, status.code());
#ifndef WAGGLE_API_GATE_H_
#define WAGGLE_API_GATE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api/errors.h"
#include "base/metrics.h"
#include "base/rate_limiter.h"
#include "security/access_control.h"

namespace waggle {

// The methods that callers may call: gRPC's by their full names, the admin
// door's by their paths.
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
inline constexpr std::string_view kEventsPath = "/v1/events";

struct GateLimits {
  // Calls a second, and as many at once after a quiet second.
  double requests_per_second_per_principal = 1000;
  double requests_per_second_per_address = 2000;
};

// How often each calls, over all doors. Thread-safe.
struct CallCounts {
  explicit CallCounts(const GateLimits& limits)
      : limits(limits),
        addresses({.per_second = limits.requests_per_second_per_address,
                   .burst = limits.requests_per_second_per_address}),
        principals({.per_second = limits.requests_per_second_per_principal,
                    .burst = limits.requests_per_second_per_principal}) {}

  const GateLimits limits;
  RateLimiter addresses;
  RateLimiter principals;
};

// A call that wants to be let in, as its transport sees it.
struct Call {
  // Its client's, without a port.
  std::string address;
  // What tells the connection apart from others.
  std::string connection;
  Credentials credentials;
  // Which are refused: one of them alone is in `credentials`.
  bool several_authorizations = false;
};

// A call that was let in.
struct Admission {
  Caller caller;
  // As of AddressKey().
  std::string address;
  // As of Call.
  std::string connection;
  // AccessControl's when the caller was recognised.
  uint64_t generation = 0;
};

// Of one door. Thread-safe.
class Gate {
 public:
  // `local`, if not null, is whoever shows no credentials. All else must
  // outlive the gate.
  Gate(const AccessControl& access, CallCounts& counts, Metrics& metrics,
       std::shared_ptr<const Principal> local = nullptr);

  // OK, or what to end the call with; then it was counted and logged.
  absl::Status Admit(const Call& call, std::string_view method,
                     Admission& admission);

  // The same for a method that is for everybody, whom it does not recognise:
  // only how often its address calls counts.
  absl::Status AdmitAnybody(const Call& call, std::string_view method,
                            Admission& admission);

  // Counts and logs the end of a call that was let in and turned out to ask for
  // more than its caller may have, and gives it back.
  absl::Status Refuse(const Admission& admission, std::string_view method,
                      absl::Status status);
  absl::Status Refuse(const Admission& admission, std::string_view method,
                      const MissingRight& missing) {
    return Refuse(admission, method,
                  RightMissing(admission.caller.principal->name, missing));
  }

  // Counts a call of any method by how it ended; of one with one response, also
  // how long it took.
  void CountEnd(std::string_view method, absl::StatusCode code);
  void CountEnd(std::string_view method, absl::StatusCode code,
                absl::Duration duration);

  // As AccessControl has them, and `local`.
  uint64_t generation() const { return access_.generation(); }
  std::shared_ptr<const Principal> Find(std::string_view identity) const;

 private:
  absl::StatusOr<Caller> Authenticate(const Credentials& credentials) const;
  // Notes where the call comes from, and takes from what its address may.
  absl::Status CountAddress(const Call& call, Admission& admission);
  absl::Status Decide(const Call& call, std::string_view method,
                      Admission& admission);
  void Note(const absl::Status& status, std::string_view method,
            const Admission& admission);

  const AccessControl& access_;
  CallCounts& counts_;
  Metrics& metrics_;
  const std::shared_ptr<const Principal> local_;
  // Of lines in the log.
  RateLimiter lines_;
};

}  // namespace waggle

#endif  // WAGGLE_API_GATE_H_
