// The whole gateway: builds every object, starts them in order, and drains them
// in the opposite one. The only place that names concrete stores.
//
//   auto gateway = Gateway::Start(settings);
//   ...                       // until SIGTERM
//   (*gateway)->Drain();
#ifndef WAGGLE_APP_GATEWAY_H_
#define WAGGLE_APP_GATEWAY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "config/settings.h"

namespace waggle {

// For one thread. Destruction without Drain() cuts what is under way; what was
// acknowledged is durable in any case.
class Gateway {
 public:
  // Returns once all doors are open. Errors say what to do.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(
      const Settings& settings);
  ~Gateway();

  // The ports that are listened on, also where the settings left the choice to
  // the system.
  int webhook_port() const;
  int grpc_port() const;
  int admin_port() const;

  // Readiness off; new webhooks get 503; those under way are answered; streams
  // are sent what is committed and end; the store is closed. If that is not
  // done within settings.shutdown.timeout, the process ends with EXIT_FAILURE;
  // what was acknowledged is durable then, too.
  void Drain();

 private:
  class Parts;
  explicit Gateway(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace waggle

#endif  // WAGGLE_APP_GATEWAY_H_
