// Everything that keeps strangers out and is read from files beside the
// configuration: signing keys, the access file, the JWK set, certificates. All
// of it is read again when it changes, while the gateway runs.
//
//   WAGGLE_ASSIGN_OR_RETURN(auto files, SecurityFiles::Load(settings, clock));
//   ... files->access(), files->webhook_tls() ...
//   files->Watch(metrics, exchange_signing_keys);   // and then, each second:
//   files->Reload();
#ifndef WAGGLE_APP_SECURITY_FILES_H_
#define WAGGLE_APP_SECURITY_FILES_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "config/settings.h"
#include "security/access_control.h"
#include "security/tls_material.h"

namespace waggle {

// Load, Watch and Reload are for one thread at a time; the rest is thread-safe.
class SecurityFiles {
 public:
  // Gets the new keys of an endpoint.
  using OnSigningKeys =
      std::function<void(std::string_view endpoint, std::vector<Secret> keys)>;

  // INVALID_ARGUMENT has a line for each thing that is wrong. `clock` must
  // outlive the object.
  static absl::StatusOr<std::unique_ptr<SecurityFiles>> Load(
      const Settings& settings, const Clock& clock);
  ~SecurityFiles();

  // The keys of an endpoint of the settings, as loaded. Moves them out: once.
  std::vector<Secret> TakeSigningKeys(std::string_view endpoint);

  const AccessControl& access() const { return *access_; }
  // Null without TLS.
  const TlsSource* webhook_tls() const { return webhook_tls_.get(); }
  const TlsSource* grpc_tls() const { return grpc_tls_.get(); }
  const TlsSource* admin_tls() const { return admin_tls_.get(); }

  // From now on tells of what Reload() finds. `metrics` must outlive the
  // object.
  void Watch(Metrics& metrics, OnSigningKeys on_signing_keys);

  // Reads every file again. What changed takes effect; what cannot be used is
  // logged once, and what was read before stays in force. After Watch().
  void Reload();

 private:
  // What belongs together, and how it is read again: true if it changed.
  struct Watched {
    std::string what;
    std::function<absl::StatusOr<bool>()> reload;
    // As it was logged.
    std::string error{};
    prometheus::Gauge* failing = nullptr;
  };
  struct Expiry {
    const TlsSource* tls;
    prometheus::Gauge* gauge;
  };
  class EndpointKeys;
  class TextFile;

  explicit SecurityFiles(const Clock& clock);
  void LoadSigningKeys(const Settings& settings);
  void LoadAccess(const SecuritySettings& settings);
  void LoadTls(std::string_view listener, const TlsSettings& settings,
               std::unique_ptr<TlsSource>& source);
  void Note(const absl::Status& status);
  void ShowExpiries();

  const Clock& clock_;
  std::vector<std::string> problems_;
  std::vector<std::unique_ptr<EndpointKeys>> signing_keys_;
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<TlsSource> webhook_tls_;
  std::unique_ptr<TlsSource> grpc_tls_;
  std::unique_ptr<TlsSource> admin_tls_;
  OnSigningKeys on_signing_keys_;
  std::vector<Watched> watched_;
  std::vector<Expiry> expiries_;
};

}  // namespace waggle

#endif  // WAGGLE_APP_SECURITY_FILES_H_
