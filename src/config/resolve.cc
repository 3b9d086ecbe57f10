#include "config/resolve.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "config/values.h"

namespace waggle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr size_t kMaxEndpointName = 64;

// What zero means where the limits do not allow it.
enum class Zero { kRefused, kAllowed };

class Resolver {
 public:
  explicit Resolver(RawConfig& config) : config_(config) {}

  // Each of these leaves `out`, which holds the default, if nothing was
  // written at `path`.

  void Text(absl::string_view path, std::string& out) {
    if (const std::string* text = FindText(path)) out = *text;
  }

  void Listen(absl::string_view path, HostPort& out) {
    Parsed(path, HostPortFromText, out);
  }

  void Size(absl::string_view path, uint64_t min, uint64_t max, uint64_t& out,
            Zero zero = Zero::kRefused) {
    if (!Parsed(path, SizeFromText, out)) return;
    if (out == 0 && zero == Zero::kAllowed) return;
    if (out < min || out > max) {
      Refuse(path, absl::StrCat(SizeToText(out), " is not ", SizeToText(min),
                                " to ", SizeToText(max), OrZero(zero, "0")));
    }
  }

  void Duration(absl::string_view path, absl::Duration min, absl::Duration max,
                absl::Duration& out, Zero zero = Zero::kRefused) {
    if (!Parsed(path, DurationFromText, out)) return;
    if (out == absl::ZeroDuration() && zero == Zero::kAllowed) return;
    if (out < min || out > max) {
      Refuse(path,
             absl::StrCat(DurationToText(out), " is not ", DurationToText(min),
                          " to ", DurationToText(max), OrZero(zero, "0s")));
    }
  }

  // A duration whose zero stands for "never".
  void DurationOrNever(absl::string_view path, absl::Duration min,
                       absl::Duration max, absl::Duration& out) {
    Duration(path, min, max, out, Zero::kAllowed);
    if (out == absl::ZeroDuration()) out = absl::InfiniteDuration();
  }

  void Number(absl::string_view path, uint32_t min, uint32_t max,
              uint32_t& out) {
    const Leaf leaf = Find(path);
    if (!leaf.written) return;
    out = leaf.parent->GetReflection()->GetUInt32(*leaf.parent, leaf.field);
    if (out < min || out > max) {
      Refuse(path, absl::StrCat(out, " is not ", min, " to ", max));
    }
  }

  void Flag(absl::string_view path, bool& out) {
    const Leaf leaf = Find(path);
    if (!leaf.written) return;
    out = leaf.parent->GetReflection()->GetBool(*leaf.parent, leaf.field);
  }

  template <typename T>
  void Choice(absl::string_view path,
              std::initializer_list<std::pair<absl::string_view, T>> choices,
              T& out) {
    const std::string* text = FindText(path);
    if (text == nullptr) return;
    for (const auto& [name, value] : choices) {
      if (name == *text) {
        out = value;
        return;
      }
    }
    Refuse(path, absl::StrCat("\"", *text, "\" is not one of ",
                              absl::StrJoin(choices, ", ",
                                            [](std::string* to, const auto& c) {
                                              absl::StrAppend(to, c.first);
                                            })));
  }

  // Whether a value was written for `path`, be it a section.
  bool Wrote(absl::string_view path) const { return Find(path).written; }

  void Refuse(absl::string_view path, absl::string_view what) {
    config_.notes.AddProblemAt(std::string(path), what);
  }

 private:
  struct Leaf {
    bool written = false;
    const Message* parent = nullptr;
    const FieldDescriptor* field = nullptr;
  };

  // `path` is one of the schema's.
  Leaf Find(absl::string_view path) const {
    Leaf leaf{true, &config_.message, nullptr};
    for (absl::string_view name : absl::StrSplit(path, '.')) {
      if (leaf.field != nullptr) {
        leaf.parent =
            &leaf.parent->GetReflection()->GetMessage(*leaf.parent, leaf.field);
      }
      leaf.field =
          leaf.parent->GetDescriptor()->FindFieldByName(std::string(name));
      leaf.written = leaf.written && leaf.parent->GetReflection()->HasField(
                                         *leaf.parent, leaf.field);
    }
    return leaf;
  }

  const std::string* FindText(absl::string_view path) const {
    const Leaf leaf = Find(path);
    if (!leaf.written) return nullptr;
    // Fields hold their strings as such, so the scratch stays unused.
    std::string scratch;
    return &leaf.parent->GetReflection()->GetStringReference(
        *leaf.parent, leaf.field, &scratch);
  }

  // Whether there is a value to check.
  template <typename T>
  bool Parsed(absl::string_view path,
              absl::StatusOr<T> (*parse)(absl::string_view), T& out) {
    const std::string* text = FindText(path);
    if (text == nullptr) return false;
    absl::StatusOr<T> value = parse(*text);
    if (!value.ok()) {
      Refuse(path, value.status().message());
      return false;
    }
    out = *std::move(value);
    return true;
  }

  static std::string OrZero(Zero zero, absl::string_view text) {
    return zero == Zero::kAllowed ? absl::StrCat(" or ", text) : "";
  }

  RawConfig& config_;
};

bool IsEndpointName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxEndpointName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
                  c == '-' || c == '_';
         });
}

void ResolveEndpoints(const config::v1::WebhookServer& webhook,
                      Resolver& resolver, std::vector<EndpointSettings>& out) {
  if (webhook.endpoints().empty()) {
    resolver.Refuse("webhook.endpoints",
                    "at least one is needed, with a name and "
                    "signing_key_files");
  }
  std::set<std::string> names;
  for (int i = 0; i < webhook.endpoints_size(); ++i) {
    const config::v1::Endpoint& endpoint = webhook.endpoints(i);
    const std::string path = absl::StrCat("webhook.endpoints[", i, "]");
    if (endpoint.name().empty()) {
      resolver.Refuse(path, "has no name");
    } else if (!IsEndpointName(endpoint.name())) {
      resolver.Refuse(
          JoinPath(path, "name"),
          absl::StrCat("\"", absl::CEscape(endpoint.name()), "\" is not 1 to ",
                       kMaxEndpointName, " of a-z, 0-9, \"-\" and \"_\""));
    } else if (!names.insert(endpoint.name()).second) {
      resolver.Refuse(JoinPath(path, "name"),
                      absl::StrCat("\"", endpoint.name(),
                                   "\" is the name of another endpoint too"));
    }
    if (endpoint.signing_key_files().empty()) {
      resolver.Refuse(path, "has no signing_key_files");
    }
    out.push_back({endpoint.name(),
                   {endpoint.signing_key_files().begin(),
                    endpoint.signing_key_files().end()}});
  }
}

void ResolveTls(Resolver& r, const std::string& path, TlsSettings& out) {
  r.Text(absl::StrCat(path, ".certificate_file"), out.certificate_file);
  r.Text(absl::StrCat(path, ".key_file"), out.key_file);
  if (!r.Wrote(path)) return;
  if (out.certificate_file.empty()) r.Refuse(path, "has no certificate_file");
  if (out.key_file.empty()) r.Refuse(path, "has no key_file");
}

void ResolveGrpcTls(Resolver& r, TlsSettings& out) {
  ResolveTls(r, "grpc.tls", out);
  r.Text("grpc.tls.client_ca_file", out.client_ca_file);
  r.Choice<ClientCertificates>("grpc.tls.client_certificates",
                               {{"off", ClientCertificates::kOff},
                                {"optional", ClientCertificates::kOptional},
                                {"required", ClientCertificates::kRequired}},
                               out.client_certificates);
  const bool asked = out.client_certificates != ClientCertificates::kOff;
  if (asked && out.client_ca_file.empty()) {
    r.Refuse("grpc.tls.client_certificates",
             "needs client_ca_file: who issues the clients' certificates");
  } else if (!asked && !out.client_ca_file.empty()) {
    r.Refuse("grpc.tls.client_ca_file",
             "has no effect while client_certificates is off; write optional "
             "or required");
  }
}

void ResolveWebhook(const config::v1::WebhookServer& webhook, Resolver& r,
                    WebhookSettings& out) {
  r.Listen("webhook.listen", out.listen);
  r.Size("webhook.max_body_size", kKiB, 2 * kMiB, out.max_body_size);
  r.Number("webhook.max_connections", 1, 65536, out.max_connections);
  r.Number("webhook.workers", 1, 64, out.workers);
  r.Duration("webhook.request_timeout", absl::Milliseconds(100),
             absl::Minutes(10), out.request_timeout);
  r.Duration("webhook.idle_timeout", absl::Milliseconds(100), absl::Hours(1),
             out.idle_timeout);
  r.Size("webhook.max_buffered_size", kMiB, kTiB, out.max_buffered_size);
  if (out.max_buffered_size < out.max_body_size) {
    r.Refuse("webhook.max_buffered_size",
             absl::StrCat(SizeToText(out.max_buffered_size),
                          " is less than webhook.max_body_size, ",
                          SizeToText(out.max_body_size)));
  }
  ResolveTls(r, "webhook.tls", out.tls);
  r.Number("webhook.max_connections_per_address", 1, 65536,
           out.max_connections_per_address);
  r.Number("webhook.max_failures_per_minute", 1, 1'000'000,
           out.max_failures_per_minute);
  for (int i = 0; i < webhook.trusted_proxies_size(); ++i) {
    absl::StatusOr<IpNetwork> network =
        IpNetwork::FromText(webhook.trusted_proxies(i));
    if (network.ok()) {
      out.trusted_proxies.push_back(*network);
    } else {
      r.Refuse(absl::StrCat("webhook.trusted_proxies[", i, "]"),
               network.status().message());
    }
  }
}

void ResolveGrpc(Resolver& r, GrpcSettings& out) {
  r.Listen("grpc.listen", out.listen);
  r.Number("grpc.max_streams", 1, 1'000'000, out.max_streams);
  r.Number("grpc.max_streams_per_connection", 1, 1'000'000,
           out.max_streams_per_connection);
  r.DurationOrNever("grpc.max_stream_age", absl::Seconds(1), absl::Hours(168),
                    out.max_stream_age);
  r.Duration("grpc.keepalive_time", absl::Seconds(1), absl::Hours(24),
             out.keepalive_time);
  r.Duration("grpc.keepalive_timeout", absl::Seconds(1), absl::Minutes(10),
             out.keepalive_timeout);
  r.Duration("grpc.min_ping_interval", absl::Seconds(1), absl::Hours(1),
             out.min_ping_interval);
  r.Flag("grpc.reflection", out.reflection);
  ResolveGrpcTls(r, out.tls);
  r.Number("grpc.max_streams_per_principal", 1, 1'000'000,
           out.max_streams_per_principal);
  r.Number("grpc.max_streams_per_address", 1, 1'000'000,
           out.max_streams_per_address);
  r.Number("grpc.max_requests_per_second_per_principal", 1, 1'000'000,
           out.max_requests_per_second_per_principal);
  r.Number("grpc.max_requests_per_second_per_address", 1, 1'000'000,
           out.max_requests_per_second_per_address);
  r.Size("grpc.max_metadata_size", kKiB, 64 * kKiB, out.max_metadata_size);
  r.Size("grpc.max_request_size", 4 * kKiB, 4 * kMiB, out.max_request_size);
  r.Number("grpc.max_filters", 1, 10'000, out.max_filters);
  r.Number("grpc.max_filter_values", 1, 100'000, out.max_filter_values);
  r.Number("grpc.max_connections", 1, 1'000'000, out.max_connections);
  r.Number("grpc.max_connections_per_address", 1, 1'000'000,
           out.max_connections_per_address);
  r.Number("grpc.max_health_watches", 1, 1'000'000, out.max_health_watches);
  r.Number("grpc.max_health_watches_per_address", 1, 1'000'000,
           out.max_health_watches_per_address);
}

void ResolveStore(Resolver& r, StoreSettings& out) {
  r.Text("store.path", out.path);
  r.DurationOrNever("store.max_age", absl::Seconds(1), absl::Hours(24 * 36500),
                    out.max_age);
  r.Size("store.max_size", 16 * kMiB, 1024 * kTiB, out.max_size,
         Zero::kAllowed);
  r.Number("store.readers", 1, 64, out.readers);
}

void ResolveDeliveries(Resolver& r, DeliveriesSettings& out) {
  r.DurationOrNever("deliveries.max_age", absl::Seconds(1),
                    absl::Hours(24 * 36500), out.max_age);
  r.Number("deliveries.max_records", 1000, 1'000'000'000, out.max_records);
  r.Number("deliveries.max_refused_records", 1000, 1'000'000'000,
           out.max_refused_records);
  r.Number("deliveries.max_refused_per_second", 0, 1000,
           out.max_refused_per_second);
}

void ResolveShutdown(Resolver& r, ShutdownSettings& out) {
  r.Duration("shutdown.timeout", absl::Seconds(1), absl::Hours(1), out.timeout);
  r.Duration("shutdown.linger", absl::ZeroDuration(), absl::Hours(1),
             out.linger);
  if (out.linger > out.timeout) {
    r.Refuse("shutdown.linger",
             absl::StrCat(DurationToText(out.linger),
                          " is longer than shutdown.timeout, ",
                          DurationToText(out.timeout)));
  }
}

void ResolveSecurity(Resolver& r, Settings& settings) {
  SecuritySettings& out = settings.security;
  r.Text("security.access_file", out.access_file);
  if (r.Wrote("security.jwt")) {
    JwtSettings& jwt = out.jwt.emplace();
    r.Text("security.jwt.jwks_file", jwt.jwks_file);
    r.Text("security.jwt.issuer", jwt.issuer);
    r.Text("security.jwt.audience", jwt.audience);
    r.Duration("security.jwt.clock_skew", absl::ZeroDuration(),
               absl::Minutes(10), jwt.clock_skew);
    for (const auto& [name, value] : {std::pair{"jwks_file", &jwt.jwks_file},
                                      std::pair{"issuer", &jwt.issuer},
                                      std::pair{"audience", &jwt.audience}}) {
      if (value->empty()) {
        r.Refuse("security.jwt", absl::StrCat("has no ", name));
      }
    }
    if (out.access_file.empty()) {
      r.Refuse("security.jwt",
               "needs security.access_file, which says whose tokens they are");
    }
  }
  if (out.access_file.empty()) {
    if (settings.grpc.tls.client_certificates ==
        ClientCertificates::kOptional) {
      r.Refuse("grpc.tls.client_certificates",
               "optional certificates are of no effect without "
               "security.access_file, which says whose they are");
    }
    return;
  }
  if (!r.Wrote("grpc.reflection")) {
    settings.grpc.reflection = false;
  } else if (settings.grpc.reflection) {
    r.Refuse("grpc.reflection",
             "cannot be on together with security.access_file: reflection asks "
             "nobody who they are");
  }
}

// Whatever leaves this machine is protected, unless whoever starts the gateway
// says that it need not be.
void CheckExposure(Resolver& r, const Settings& settings) {
  constexpr absl::string_view kOr =
      "; or, on a network where nobody else is, start with --insecure";
  const auto refuse = [&](absl::string_view path, const HostPort& listen,
                          absl::string_view what) {
    r.Refuse(path, absl::StrCat(listen.ToString(),
                                " is not a loopback address, and ", what, kOr));
  };
  if (!settings.grpc.listen.IsLoopback()) {
    if (settings.security.access_file.empty()) {
      refuse("grpc.listen", settings.grpc.listen,
             "everybody there could read every event: write "
             "security.access_file");
    }
    if (!settings.grpc.tls.enabled()) {
      refuse("grpc.listen", settings.grpc.listen,
             "everybody on the way could read along: write grpc.tls");
    }
  }
  if (!settings.admin.listen.IsLoopback() &&
      settings.security.access_file.empty()) {
    refuse("admin.listen", settings.admin.listen,
           "everybody there could read the metrics: write "
           "security.access_file");
  }
}

void CheckListeners(Resolver& r, const Settings& settings) {
  const std::pair<absl::string_view, const HostPort&> listeners[] = {
      {"webhook.listen", settings.webhook.listen},
      {"grpc.listen", settings.grpc.listen},
      {"admin.listen", settings.admin.listen}};
  std::set<std::string> taken;
  for (const auto& [path, listen] : listeners) {
    if (settings.demo && !listen.IsLoopback()) {
      r.Refuse(path,
               absl::StrCat(listen.ToString(),
                            " is not a loopback address; the demo's key is "
                            "public, so write a configuration file with keys "
                            "of your own"));
    }
    if (listen.port != 0 && !taken.insert(listen.ToString()).second) {
      r.Refuse(path, absl::StrCat(listen.ToString(),
                                  " is the address of another listener too"));
    }
  }
}

}  // namespace

Settings Resolve(RawConfig& config, bool demo, Exposure exposure) {
  Resolver r(config);
  Settings settings;
  settings.demo = demo;
  if (demo) {
    settings.webhook.endpoints = {{"bindbee", {}}};
  } else {
    ResolveEndpoints(config.message.webhook(), r, settings.webhook.endpoints);
  }
  ResolveWebhook(config.message.webhook(), r, settings.webhook);
  ResolveGrpc(r, settings.grpc);
  r.Listen("admin.listen", settings.admin.listen);
  ResolveTls(r, "admin.tls", settings.admin.tls);
  ResolveSecurity(r, settings);
  ResolveStore(r, settings.store);
  r.Duration("ingest.dedup_window", absl::ZeroDuration(), absl::Hours(24),
             settings.ingest.dedup_window);
  r.Flag("ingest.dedup_syncs_while_retained",
         settings.ingest.dedup_syncs_while_retained);
  r.Size("stream.tail_size", 64 * kKiB, kTiB, settings.stream.tail_size);
  r.Duration("stream.linger", absl::ZeroDuration(), absl::Seconds(1),
             settings.stream.linger);
  ResolveDeliveries(r, settings.deliveries);
  r.Choice<LogLevel>("log.level",
                     {{"debug", LogLevel::kDebug},
                      {"info", LogLevel::kInfo},
                      {"warn", LogLevel::kWarn},
                      {"error", LogLevel::kError}},
                     settings.log.level);
  r.Choice<LogFormat>("log.format",
                      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}},
                      settings.log.format);
  ResolveShutdown(r, settings.shutdown);
  CheckListeners(r, settings);
  if (!demo && exposure == Exposure::kProtected) CheckExposure(r, settings);
  return settings;
}

}  // namespace waggle
