// What the gateway was configured to do: typed, complete and validated, so that
// whoever gets a part of it has nothing left to check. The members mirror
// proto/waggle/config/v1/config.proto, which says what each one means; the
// defaults of that schema are the initialisers here. LoadSettings
// (config/config.h) makes a Settings; tests may fill one by hand.
//
// Holds no secret: keys are named by their files.
#ifndef WAGGLE_CONFIG_SETTINGS_H_
#define WAGGLE_CONFIG_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/client_certificates.h"
#include "base/ip_network.h"
#include "base/log.h"

namespace waggle {

// Where to listen.
struct HostPort {
  // An IP address without brackets, or a host name. "::" is all interfaces.
  std::string host;
  // 0 lets the system choose.
  uint16_t port = 0;

  // "127.0.0.1:8080", "[::1]:8080".
  std::string ToString() const;

  // Whether only this machine can reach it.
  bool IsLoopback() const;

  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// Of a listener. Off if certificate_file is empty; else key_file is set, and
// client_ca_file unless client_certificates is kOff.
struct TlsSettings {
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;
  ClientCertificates client_certificates = ClientCertificates::kOff;

  bool enabled() const { return !certificate_file.empty(); }

  friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

struct EndpointSettings {
  std::string name;
  // At least one, except for the demo's endpoint, whose key is built in.
  std::vector<std::string> signing_key_files;

  friend bool operator==(const EndpointSettings&,
                         const EndpointSettings&) = default;
};

struct WebhookSettings {
  HostPort listen{"127.0.0.1", 8080};
  // At least one; names differ.
  std::vector<EndpointSettings> endpoints;
  uint64_t max_body_size = uint64_t{1} << 20;
  uint32_t max_connections = 4096;
  uint32_t workers = 4;
  absl::Duration request_timeout = absl::Seconds(10);
  absl::Duration idle_timeout = absl::Seconds(60);
  uint64_t max_buffered_size = uint64_t{64} << 20;
  TlsSettings tls;
  uint32_t max_connections_per_address = 2048;
  uint32_t max_failures_per_minute = 600;
  std::vector<IpNetwork> trusted_proxies;

  friend bool operator==(const WebhookSettings&,
                         const WebhookSettings&) = default;
};

struct GrpcSettings {
  HostPort listen{"127.0.0.1", 50051};
  uint32_t max_streams = 4096;
  uint32_t max_streams_per_connection = 1024;
  // InfiniteDuration: streams are not rotated.
  absl::Duration max_stream_age = absl::Minutes(30);
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  absl::Duration min_ping_interval = absl::Seconds(20);
  bool reflection = true;
  TlsSettings tls;
  uint32_t max_streams_per_principal = 1024;
  uint32_t max_streams_per_address = 2048;
  uint32_t max_requests_per_second_per_principal = 1000;
  uint32_t max_requests_per_second_per_address = 2000;
  uint64_t max_metadata_size = uint64_t{8} << 10;
  uint64_t max_request_size = uint64_t{64} << 10;
  uint32_t max_filters = 100;
  uint32_t max_filter_values = 1000;
  uint32_t max_connections = 8192;
  uint32_t max_connections_per_address = 2048;
  uint32_t max_health_watches = 1024;
  uint32_t max_health_watches_per_address = 64;

  friend bool operator==(const GrpcSettings&, const GrpcSettings&) = default;
};

struct AdminSettings {
  HostPort listen{"127.0.0.1", 8081};
  TlsSettings tls;

  friend bool operator==(const AdminSettings&, const AdminSettings&) = default;
};

struct StoreSettings {
  std::string path = "waggle-data";
  // InfiniteDuration: events do not grow too old.
  absl::Duration max_age = absl::Hours(168);
  // 0: no limit.
  uint64_t max_size = uint64_t{10} << 30;
  uint32_t readers = 4;

  friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

struct IngestSettings {
  absl::Duration dedup_window = absl::Minutes(10);
  bool dedup_syncs_while_retained = true;

  friend bool operator==(const IngestSettings&,
                         const IngestSettings&) = default;
};

struct StreamSettings {
  uint64_t tail_size = uint64_t{64} << 20;
  absl::Duration linger = absl::ZeroDuration();

  friend bool operator==(const StreamSettings&,
                         const StreamSettings&) = default;
};

struct DeliveriesSettings {
  // InfiniteDuration: records do not grow too old.
  absl::Duration max_age = absl::Hours(168);
  uint32_t max_records = 5'000'000;
  uint32_t max_refused_records = 100'000;
  uint32_t max_refused_per_second = 20;

  friend bool operator==(const DeliveriesSettings&,
                         const DeliveriesSettings&) = default;
};

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;

  friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

struct ShutdownSettings {
  absl::Duration timeout = absl::Seconds(30);
  absl::Duration linger = absl::ZeroDuration();

  friend bool operator==(const ShutdownSettings&,
                         const ShutdownSettings&) = default;
};

struct JwtSettings {
  std::string jwks_file;
  std::string issuer;
  std::string audience;
  absl::Duration clock_skew = absl::Seconds(30);

  friend bool operator==(const JwtSettings&, const JwtSettings&) = default;
};

struct SecuritySettings {
  // Empty: nobody is asked who they are.
  std::string access_file;
  // Set only with an access_file; all its members are set then.
  std::optional<JwtSettings> jwt;

  friend bool operator==(const SecuritySettings&,
                         const SecuritySettings&) = default;
};

struct Settings {
  // Set when there is no configuration file: the only endpoint is "bindbee", it
  // has no key files, and the publicly known demo key signs for it. All
  // listeners are then on loopback addresses.
  bool demo = false;
  WebhookSettings webhook;
  GrpcSettings grpc;
  AdminSettings admin;
  StoreSettings store;
  IngestSettings ingest;
  StreamSettings stream;
  DeliveriesSettings deliveries;
  LogSettings log;
  ShutdownSettings shutdown;
  SecuritySettings security;

  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace waggle

#endif  // WAGGLE_CONFIG_SETTINGS_H_
