// Reading and following a gateway's delivery log.
//
// What follows the log prints every delivery once, in order of id, whatever
// happens to streams: at the start of each, and where the gateway left some
// out, it reads what it lacks from the log.
#ifndef WAGGLE_CLI_DELIVERY_CLIENT_H_
#define WAGGLE_CLI_DELIVERY_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "cli/gateway_client.h"
#include "cli/reconnector.h"
#include "cli/stream_end.h"
#include "waggle/v1/delivery_service.grpc.pb.h"

namespace waggle {

// The most deliveries that are read from the log at once, since they are held
// in memory to be turned round.
inline constexpr size_t kMaxListedDeliveries = 100'000;

struct ListedDeliveries {
  // Oldest first: the newest `max` that match.
  std::vector<v1::Delivery> deliveries;
  // Whether older ones match, too.
  bool more = false;
  StreamEnd end;
};

// Reads the log, page by page.
ListedDeliveries ListDeliveries(GatewayClient& client,
                                v1::DeliveryService::StubInterface& stub,
                                const v1::DeliveryFilter& filter, size_t max);

class DeliveryFollower {
 public:
  struct Observer {
    // Gets the next deliveries, in order of id. False ends it all.
    std::function<bool(const std::vector<v1::Delivery>&)> deliveries;
    // The stream ended; the next one is tried after `pause`.
    std::function<void(const StreamEnd& end, absl::Duration pause)> interrupted;
    // So many were left out that the oldest of them are not printed.
    std::function<void()> left_out;
  };

  // Begins with the newest `first` deliveries that match. `client` must outlive
  // the follower.
  DeliveryFollower(GatewayClient& client, v1::DeliveryFilter filter,
                   size_t first, ReconnectOptions options,
                   Reconnector::Sleep sleep = nullptr);

  // Blocks until Stop(), until the observer says so, or until an error that
  // trying again does not mend. To be called once.
  StreamEnd Run(const Observer& observer);

  // From any thread; idempotent.
  void Stop();

 private:
  StreamEnd RunStream(const Observer& observer);
  // Gives the observer what is in the log after `last_id_`.
  StreamEnd CatchUp(v1::DeliveryService::StubInterface& stub,
                    const Observer& observer);
  void Pass(std::vector<v1::Delivery> deliveries, const Observer& observer);

  GatewayClient& client_;
  const v1::DeliveryFilter filter_;
  const size_t first_;
  Reconnector reconnector_;
  bool began_ = false;
  // Everything up to here was given to the observer.
  uint64_t last_id_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_DELIVERY_CLIENT_H_
