#include "config/config.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "config/raw_config.h"
#include "config/resolve.h"
#include "config/sources.h"
#include "config/values.h"
#include "config/yaml_tree.h"

namespace waggle {
namespace {

std::string OrZero(absl::Duration duration) {
  return DurationToText(
      duration == absl::InfiniteDuration() ? absl::ZeroDuration() : duration);
}

absl::string_view Name(bool value) { return value ? "true" : "false"; }

std::string Quoted(absl::string_view text) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::string EndpointsToYaml(const std::vector<EndpointSettings>& endpoints) {
  std::string out;
  for (const EndpointSettings& endpoint : endpoints) {
    absl::StrAppend(&out, "    - name: ", Quoted(endpoint.name),
                    "\n      signing_key_files: [",
                    absl::StrJoin(endpoint.signing_key_files, ", ",
                                  [](std::string* to, const std::string& file) {
                                    to->append(Quoted(file));
                                  }),
                    "]\n");
  }
  return out;
}

// The line, if there are any.
std::string TrustedProxiesToYaml(const std::vector<IpNetwork>& proxies) {
  if (proxies.empty()) return "";
  return absl::StrCat(
      "  trusted_proxies: [",
      absl::StrJoin(proxies, ", ",
                    [](std::string* to, const IpNetwork& network) {
                      to->append(Quoted(network.ToString()));
                    }),
      "]\n");
}

absl::Status ToStatus(const ReadingNotes& notes) {
  if (notes.problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(notes.problems, "\n"));
}

absl::string_view Name(ClientCertificates client_certificates) {
  switch (client_certificates) {
    case ClientCertificates::kOff:
      return "off";
    case ClientCertificates::kOptional:
      return "optional";
    case ClientCertificates::kRequired:
      return "required";
  }
  return "";
}

// The section, if there is one.
std::string TlsToYaml(const TlsSettings& tls) {
  if (!tls.enabled()) return "";
  std::string out = absl::StrCat(
      "  tls:\n    certificate_file: ", Quoted(tls.certificate_file),
      "\n    key_file: ", Quoted(tls.key_file), "\n");
  if (tls.client_certificates != ClientCertificates::kOff) {
    absl::StrAppend(
        &out, "    client_ca_file: ", Quoted(tls.client_ca_file),
        "\n    client_certificates: ", Name(tls.client_certificates), "\n");
  }
  return out;
}

std::string SecurityToYaml(const SecuritySettings& security) {
  if (security.access_file.empty()) return "";
  std::string out = absl::StrCat(
      "security:\n  access_file: ", Quoted(security.access_file), "\n");
  if (security.jwt.has_value()) {
    const JwtSettings& jwt = *security.jwt;
    absl::StrAppend(&out, "  jwt:\n    jwks_file: ", Quoted(jwt.jwks_file),
                    "\n    issuer: ", Quoted(jwt.issuer),
                    "\n    audience: ", Quoted(jwt.audience),
                    "\n    clock_skew: ", DurationToText(jwt.clock_skew), "\n");
  }
  return out;
}

}  // namespace

absl::StatusOr<Settings> LoadSettings(const std::optional<ConfigFile>& file,
                                      const Environment& environment,
                                      Exposure exposure) {
  RawConfig config;
  const bool readable =
      !file.has_value() ||
      ReadYaml(*file, Empty::kDefault, config.message, config.notes);
  ReadEnvironment(environment, config);
  Settings settings;
  if (readable) {
    settings = Resolve(config, /*demo=*/!file.has_value(), exposure);
  }
  WAGGLE_RETURN_IF_ERROR(ToStatus(config.notes));
  return settings;
}

absl::StatusOr<config::v1::Access> ParseAccess(const ConfigFile& file) {
  config::v1::Access access;
  ReadingNotes notes;
  // What is cut short, or left with comments only, must not mean everything.
  ReadYaml(file, Empty::kRefused, access, notes);
  WAGGLE_RETURN_IF_ERROR(ToStatus(notes));
  return access;
}

absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  ConfigFile file{path, std::string(kMaxYamlSize + 1, '\0')};
  stream.read(file.text.data(), static_cast<std::streamsize>(file.text.size()));
  if (!stream.is_open() || stream.bad() || (stream.fail() && !stream.eof())) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  file.text.resize(static_cast<size_t>(stream.gcount()));
  return file;
}

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == absl::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

std::string ToYaml(const Settings& s) {
  std::string out;
  absl::StrAppend(
      &out, "webhook:\n  listen: ", Quoted(s.webhook.listen.ToString()),
      "\n  endpoints:\n", EndpointsToYaml(s.webhook.endpoints),
      "  max_body_size: ", SizeToText(s.webhook.max_body_size),
      "\n  max_connections: ", s.webhook.max_connections,
      "\n  workers: ", s.webhook.workers,
      "\n  request_timeout: ", DurationToText(s.webhook.request_timeout),
      "\n  idle_timeout: ", DurationToText(s.webhook.idle_timeout),
      "\n  max_buffered_size: ", SizeToText(s.webhook.max_buffered_size),
      "\n  max_connections_per_address: ",
      s.webhook.max_connections_per_address,
      "\n  max_failures_per_minute: ", s.webhook.max_failures_per_minute, "\n",
      TrustedProxiesToYaml(s.webhook.trusted_proxies),
      TlsToYaml(s.webhook.tls));
  absl::StrAppend(
      &out, "grpc:\n  listen: ", Quoted(s.grpc.listen.ToString()),
      "\n  max_streams: ", s.grpc.max_streams,
      "\n  max_streams_per_connection: ", s.grpc.max_streams_per_connection,
      "\n  max_stream_age: ", OrZero(s.grpc.max_stream_age),
      "\n  keepalive_time: ", DurationToText(s.grpc.keepalive_time),
      "\n  keepalive_timeout: ", DurationToText(s.grpc.keepalive_timeout),
      "\n  min_ping_interval: ", DurationToText(s.grpc.min_ping_interval),
      "\n  reflection: ", Name(s.grpc.reflection),
      "\n  max_streams_per_principal: ", s.grpc.max_streams_per_principal,
      "\n  max_streams_per_address: ", s.grpc.max_streams_per_address,
      "\n  max_requests_per_second_per_principal: ",
      s.grpc.max_requests_per_second_per_principal,
      "\n  max_requests_per_second_per_address: ",
      s.grpc.max_requests_per_second_per_address,
      "\n  max_metadata_size: ", SizeToText(s.grpc.max_metadata_size),
      "\n  max_request_size: ", SizeToText(s.grpc.max_request_size),
      "\n  max_filters: ", s.grpc.max_filters,
      "\n  max_filter_values: ", s.grpc.max_filter_values,
      "\n  max_connections: ", s.grpc.max_connections,
      "\n  max_connections_per_address: ", s.grpc.max_connections_per_address,
      "\n  max_health_watches: ", s.grpc.max_health_watches,
      "\n  max_health_watches_per_address: ",
      s.grpc.max_health_watches_per_address, "\n", TlsToYaml(s.grpc.tls));
  absl::StrAppend(&out, "admin:\n  listen: ", Quoted(s.admin.listen.ToString()),
                  "\n", TlsToYaml(s.admin.tls));
  absl::StrAppend(&out, "store:\n  path: ", Quoted(s.store.path),
                  "\n  max_age: ", OrZero(s.store.max_age),
                  "\n  max_size: ", SizeToText(s.store.max_size),
                  "\n  readers: ", s.store.readers, "\n");
  absl::StrAppend(
      &out, "ingest:\n  dedup_window: ", DurationToText(s.ingest.dedup_window),
      "\n  dedup_syncs_while_retained: ",
      Name(s.ingest.dedup_syncs_while_retained), "\n");
  absl::StrAppend(&out,
                  "stream:\n  tail_size: ", SizeToText(s.stream.tail_size),
                  "\n  linger: ", DurationToText(s.stream.linger), "\n");
  absl::StrAppend(
      &out, "deliveries:\n  max_age: ", OrZero(s.deliveries.max_age),
      "\n  max_records: ", s.deliveries.max_records,
      "\n  max_refused_records: ", s.deliveries.max_refused_records,
      "\n  max_refused_per_second: ", s.deliveries.max_refused_per_second,
      "\n");
  absl::StrAppend(
      &out, "log:\n  level: ", AsAbsl(Name(s.log.level)),
      "\n  format: ", s.log.format == LogFormat::kJson ? "json" : "text", "\n");
  absl::StrAppend(&out,
                  "shutdown:\n  timeout: ", DurationToText(s.shutdown.timeout),
                  "\n  linger: ", DurationToText(s.shutdown.linger), "\n",
                  SecurityToYaml(s.security));
  return out;
}

}  // namespace waggle
