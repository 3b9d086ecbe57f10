#include "app/gateway.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "app/periodic.h"
#include "app/security_files.h"
#include "app/store_options.h"
#include "app/watchdog.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "event/delivery_outcome.h"
#include "event/proto_time.h"
#include "http/admin_server.h"
#include "http/event_door.h"
#include "http/webhook_server.h"
#include "ingest/delivery_recorder.h"
#include "ingest/receiver.h"
#include "ops/delivery_broadcast.h"
#include "ops/operator_queries.h"
#include "ops/rate_history.h"
#include "ops/subscriber_journal.h"
#include "rpc/grpc_server.h"
#include "store/sqlite/sqlite_event_store.h"
#include "stream/event_hub.h"

namespace waggle {
namespace {

constexpr absl::Duration kTrimPause = absl::Seconds(10);
// Files that changed count within 2 s.
constexpr absl::Duration kReloadPause = absl::Seconds(1);
constexpr absl::Duration kHealthPause = absl::Milliseconds(500);
// For the admin door, refused connections, the store, gRPC's own, files in
// passing; half of all, if that is less.
constexpr uint64_t kOtherDescriptors = 768;
// What is left of the shutdown's time for closing the store.
constexpr absl::Duration kCloseReserve = absl::Seconds(3);

// After a fault of the medium nobody knows what is durable until the next start
// has looked: nothing may be answered any more, so nothing is cleaned up.
[[noreturn]] void EndProcess(const absl::Status& status) {
  Log(LogLevel::kError, "fatal",
      {{"reason", status.ToString()},
       {"action", "the process ends; restart it once the disk is sound"}});
  std::_Exit(EXIT_FAILURE);
}

// Raises the limit of descriptors, of which connections are most: the usual
// soft one is 1,024. Returns it.
uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

// Lowers the limits of connections until `descriptors` suffice for all of them
// and for whatever else is opened: a door that ran out of descriptors would
// take the others along.
void FitConnections(uint64_t descriptors, Settings& settings) {
  const uint64_t wanted = uint64_t{settings.webhook.max_connections} +
                          settings.grpc.max_connections;
  const uint64_t room =
      descriptors - std::min(kOtherDescriptors, descriptors / 2);
  if (wanted <= room) return;
  const auto shrink = [&](uint32_t& limit) {
    limit = static_cast<uint32_t>(
        std::max<uint64_t>(1, uint64_t{limit} * room / wanted));
  };
  shrink(settings.webhook.max_connections);
  shrink(settings.grpc.max_connections);
  Log(LogLevel::kWarn, "connections_limited",
      {{"open_files", descriptors},
       {"webhook.max_connections", settings.webhook.max_connections},
       {"grpc.max_connections", settings.grpc.max_connections},
       {"action", "raise the limit of open files, or lower the two settings"}});
}

std::vector<Endpoint> Endpoints(const Settings& settings,
                                SecurityFiles& files) {
  std::vector<Endpoint> endpoints;
  for (const EndpointSettings& endpoint : settings.webhook.endpoints) {
    endpoints.push_back({endpoint.name, files.TakeSigningKeys(endpoint.name)});
  }
  return endpoints;
}

// What new connections are to be shown; null without TLS.
std::function<std::shared_ptr<SSL_CTX>()> TlsContext(const TlsSource* tls) {
  if (tls == nullptr) return nullptr;
  return [tls] { return tls->current()->server_context; };
}

std::vector<std::string> Names(const Settings& settings) {
  std::vector<std::string> names;
  for (const EndpointSettings& endpoint : settings.webhook.endpoints) {
    names.push_back(endpoint.name);
  }
  return names;
}

WebhookOptions WebhookOptionsOf(const Settings& settings,
                                const TlsSource* tls) {
  GuardOptions guard;
  guard.tls_context = TlsContext(tls);
  guard.max_connections_per_address =
      settings.webhook.max_connections_per_address;
  guard.max_body_bytes = settings.webhook.max_body_size;
  guard.max_connections = settings.webhook.max_connections;
  guard.max_buffered_bytes = settings.webhook.max_buffered_size;
  guard.workers = settings.webhook.workers;
  guard.request_timeout = settings.webhook.request_timeout;
  guard.idle_timeout = settings.webhook.idle_timeout;
  guard.on_listener_failed = [] {
    EndProcess(absl::InternalError("the webhook listener failed"));
  };
  return {.guard = std::move(guard),
          .endpoints = Names(settings),
          .max_failures_per_minute =
              static_cast<double>(settings.webhook.max_failures_per_minute),
          .trusted_proxies = settings.webhook.trusted_proxies};
}

rpc::GrpcOptions GrpcOptionsOf(const GrpcSettings& settings,
                               const TlsSource* tls) {
  rpc::GrpcOptions options;
  options.host = settings.listen.host;
  options.port = settings.listen.port;
  options.streams = {static_cast<int>(settings.max_streams),
                     static_cast<int>(settings.max_streams_per_principal),
                     static_cast<int>(settings.max_streams_per_address),
                     static_cast<int>(settings.max_streams_per_connection)};
  options.requests = {
      static_cast<double>(settings.max_requests_per_second_per_principal),
      static_cast<double>(settings.max_requests_per_second_per_address)};
  options.filters.max_filters = static_cast<int>(settings.max_filters);
  options.filters.max_values = static_cast<int>(settings.max_filter_values);
  options.connections = {settings.max_connections,
                         settings.max_connections_per_address};
  options.health_watches = {
      static_cast<int>(settings.max_health_watches),
      static_cast<int>(settings.max_health_watches_per_address)};
  options.on_listener_failed = [] {
    EndProcess(absl::InternalError("the gRPC listener failed"));
  };
  options.max_metadata_bytes = static_cast<int>(settings.max_metadata_size);
  options.max_request_bytes = static_cast<int>(settings.max_request_size);
  options.max_stream_age = settings.max_stream_age;
  options.keepalive_time = settings.keepalive_time;
  options.keepalive_timeout = settings.keepalive_timeout;
  options.min_ping_interval = settings.min_ping_interval;
  options.reflection = settings.reflection;
  options.tls = tls;
  options.client_certificates = settings.tls.client_certificates;
  return options;
}

// Whom the admin door lets in without credentials: everybody who reaches it on
// loopback, and elsewhere if there is no access control.
bool IsAdminOpen(const Settings& settings) {
  return settings.admin.listen.IsLoopback() ||
         settings.security.access_file.empty();
}

// Whoever the admin door lets in without credentials although there is an
// access file; null otherwise. They see everything but personal data, which
// that file gives to some only: for it, they show a token.
std::shared_ptr<const Principal> LocalPrincipal(const Settings& settings) {
  if (!IsAdminOpen(settings) || settings.security.access_file.empty()) {
    return nullptr;
  }
  auto local = std::make_shared<Principal>();
  local->name = "local";
  local->rights.allow.emplace();
  local->rights.admin = true;
  return local;
}

RetentionLimits RetentionOf(const Settings& settings) {
  return {.max_age = settings.store.max_age,
          .max_bytes = settings.store.max_size};
}

// For OperatorApi.
std::vector<v1::EndpointState> EndpointStates(const Receiver& receiver) {
  std::vector<v1::EndpointState> states;
  for (const EndpointSnapshot& endpoint : receiver.Endpoints()) {
    v1::EndpointState& state = states.emplace_back();
    state.set_name(endpoint.name);
    for (const SigningKeySnapshot& key : endpoint.keys) {
      v1::SigningKeyState& key_state = *state.add_keys();
      key_state.set_fingerprint(key.fingerprint);
      key_state.set_verified(key.verified);
      if (key.last_verified_at != absl::InfinitePast()) {
        *key_state.mutable_last_verified_at() = ToProto(key.last_verified_at);
      }
    }
    if (endpoint.last_request_at != absl::InfinitePast()) {
      *state.mutable_last_request_at() = ToProto(endpoint.last_request_at);
    }
    if (endpoint.last_accepted_at != absl::InfinitePast()) {
      *state.mutable_last_accepted_at() = ToProto(endpoint.last_accepted_at);
    }
    state.set_verification_failing(endpoint.verification_failing);
  }
  return states;
}

// What the counters show of webhooks and events.
v1::RatePoint RateTotals(const Metrics& metrics,
                         const SubscriberJournal& subscribers) {
  v1::RatePoint totals;
  for (const auto& [outcome, count] :
       metrics.SumBy("waggle_webhook_requests_total", "result")) {
    const auto requests = static_cast<uint64_t>(count);
    if (outcome == Name(v1::DELIVERY_OUTCOME_ACCEPTED)) {
      totals.set_accepted(requests);
    } else if (outcome == Name(v1::DELIVERY_OUTCOME_DUPLICATE)) {
      totals.set_duplicates(requests);
    } else {
      totals.set_refused(totals.refused() + requests);
    }
  }
  totals.set_delivered(subscribers.delivered());
  return totals;
}

std::string AddressOf(HostPort listen, int port) {
  listen.port = static_cast<uint16_t>(port);
  return listen.ToString();
}

}  // namespace

// Members are in the order of construction; a member may use those above it,
// and is gone before they are.
class Gateway::Parts {
 public:
  Parts(const Settings& settings, std::unique_ptr<Clock> clock,
        std::unique_ptr<Metrics> metrics, std::unique_ptr<SecurityFiles> files,
        std::unique_ptr<SqliteEventStore> store)
      : settings_(settings),
        clock_(std::move(clock)),
        metrics_(std::move(metrics)),
        files_(std::move(files)),
        store_(std::move(store)),
        readers_(settings.store.readers),
        hub_(*store_, readers_,
             {.tail_bytes = settings.stream.tail_size,
              .linger = settings.stream.linger}),
        deliveries_(*store_),
        subscribers_(*store_, hub_, *store_, files_->access(), *clock_,
                     *metrics_),
        rates_([this] { return RateTotals(*metrics_, subscribers_); }, *clock_),
        receiver_(Endpoints(settings, *files_),
                  {.identity = IdentityOptionsOf(settings)}, *store_, *clock_,
                  *metrics_),
        operators_(*store_, *store_, subscribers_, *clock_,
                   {.version = WAGGLE_VERSION,
                    .started_at = clock_->Now(),
                    .retention = RetentionOf(settings),
                    .readiness = [this] { return Readiness(); },
                    .endpoints = [this] { return EndpointStates(receiver_); },
                    .rates = [this] { return rates_.Points(); }}),
        recorder_(settings.deliveries.max_refused_per_second, *store_, *clock_,
                  *metrics_),
        webhooks_(WebhookOptionsOf(settings, files_->webhook_tls()), receiver_,
                  recorder_, *metrics_),
        store_size_(metrics_->Gauge("waggle_store_size_bytes",
                                    "Size of the stored data.")),
        store_oldest_(metrics_->Gauge(
            "waggle_store_oldest_event_timestamp_seconds",
            "When the oldest retained event was stored; 0 if there is none.")) {
    metrics_
        ->Gauge("waggle_build_info", "1, labelled with the version.",
                {{"version", WAGGLE_VERSION}})
        .Set(1);
    metrics_
        ->Gauge("waggle_store_max_size_bytes",
                "store.max_size, beyond which the oldest events are removed; "
                "0 is no limit.")
        .Set(static_cast<double>(settings.store.max_size));
  }

  ~Parts() { Stop(); }

  absl::Status Open() {
    files_->Watch(*metrics_,
                  [this](std::string_view endpoint, std::vector<Secret> keys) {
                    receiver_.SetSigningKeys(endpoint, std::move(keys));
                  });
    reloader_ =
        std::make_unique<Periodic>(kReloadPause, [this] { files_->Reload(); });
    hub_.Start();
    deliveries_.Start();
    sampler_ = std::make_unique<Periodic>(RateHistory::kStep,
                                          [this] { rates_.Sample(); });
    trimmer_ = std::make_unique<Periodic>(kTrimPause, [this] { Trim(); });
    WAGGLE_ASSIGN_OR_RETURN(
        grpc_, rpc::GrpcServer::Start(
                   GrpcOptionsOf(settings_.grpc, files_->grpc_tls()),
                   {.store = *store_,
                    .hub = hub_,
                    .readers = readers_,
                    .access = files_->access(),
                    .subscribers = subscribers_,
                    .operators = operators_,
                    .deliveries = deliveries_,
                    .metrics = *metrics_}));
    const auto local = LocalPrincipal(settings_);
    events_ = std::make_unique<EventDoor>(
        grpc_->event_streams(), hub_, files_->access(), grpc_->call_counts(),
        *metrics_, local, EventDoor::Limits());
    admin_ =
        std::make_unique<AdminServer>(AdminHooks(local), *metrics_, operators_);
    WAGGLE_RETURN_IF_ERROR(admin_->Listen(settings_.admin.listen.host,
                                          settings_.admin.listen.port));
    // Last: once a webhook is taken, everything is in place for it.
    WAGGLE_RETURN_IF_ERROR(webhooks_.Listen(settings_.webhook.listen.host,
                                            settings_.webhook.listen.port));
    open_ = true;
    health_ = std::make_unique<Periodic>(
        kHealthPause, [this] { grpc_->SetServing(Readiness().ok()); });
    Log(LogLevel::kInfo, "serving",
        {{"webhook", AddressOf(settings_.webhook.listen, webhook_port())},
         {"grpc", AddressOf(settings_.grpc.listen, grpc_port())},
         {"admin", AddressOf(settings_.admin.listen, admin_port())},
         {"store", settings_.store.path},
         {"version", WAGGLE_VERSION}});
    return absl::OkStatus();
  }

  int webhook_port() const { return webhooks_.port(); }
  int grpc_port() const { return grpc_->port(); }
  int admin_port() const { return admin_->port(); }

  void Drain() {
    const absl::Time start = absl::Now();
    const absl::Duration budget =
        std::max(settings_.shutdown.timeout - kCloseReserve,
                 settings_.shutdown.timeout / 2);
    const auto left = [start, budget] {
      return std::max(start + budget - absl::Now(), absl::ZeroDuration());
    };
    Log(LogLevel::kInfo, "draining",
        {{"timeout", absl::FormatDuration(settings_.shutdown.timeout)}});
    // Not everything below can be hurried, a hanging disk least of all.
    const Watchdog watchdog(settings_.shutdown.timeout, [] {
      Log(LogLevel::kError, "shutdown_cut",
          {{"reason", "it took longer than shutdown.timeout"}});
      std::_Exit(EXIT_FAILURE);
    });
    draining_ = true;
    health_->Stop();
    grpc_->SetServing(false);
    webhooks_.BeginDrain();
    if (!webhooks_.WaitUntilIdle(left())) {
      Log(LogLevel::kWarn, "webhooks_cut",
          {{"reason", "some were not answered within shutdown.timeout"}});
    }
    grpc_->Drain(left());
    const absl::Duration linger =
        start + settings_.shutdown.linger - absl::Now();
    if (linger > absl::ZeroDuration()) absl::SleepFor(std::min(linger, left()));
    Stop();
    Log(LogLevel::kInfo, "stopped",
        {{"duration_ms", absl::ToInt64Milliseconds(absl::Now() - start)}});
  }

 private:
  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    draining_ = true;
    open_ = false;
    if (health_ != nullptr) health_->Stop();
    if (reloader_ != nullptr) reloader_->Stop();
    if (sampler_ != nullptr) sampler_->Stop();
    webhooks_.Stop();
    if (admin_ != nullptr) admin_->Stop();
    if (grpc_ != nullptr) grpc_->Drain(absl::ZeroDuration());
    hub_.Stop();
    deliveries_.Stop();
    // Makes a Trim return that the trimmer would wait for.
    store_->Close();
    if (trimmer_ != nullptr) trimmer_->Stop();
  }

  AdminServer::Hooks AdminHooks(std::shared_ptr<const Principal> local) {
    AdminServer::Hooks hooks;
    hooks.readiness = [this] { return Readiness(); };
    hooks.authenticate = [this, local = std::move(local)](
                             std::optional<std::string_view> authorization)
        -> absl::StatusOr<Caller> {
      if (local != nullptr && !authorization.has_value()) {
        return Caller{.principal = local, .identity = local->name};
      }
      return files_->access().Authenticate({.authorization = authorization});
    };
    hooks.open = IsAdminOpen(settings_);
    hooks.loopback = settings_.admin.listen.IsLoopback();
    hooks.serve_events = [this](const HttpRequest& request,
                                HttpResponder respond) {
      events_->Serve(request, std::move(respond));
    };
    hooks.refresh_metrics = [this] { RefreshMetrics(); };
    hooks.on_listener_failed = [] {
      EndProcess(absl::InternalError("the admin listener failed"));
    };
    hooks.tls_context = TlsContext(files_->admin_tls());
    return hooks;
  }

  absl::Status Readiness() const {
    if (draining_) return absl::UnavailableError("draining");
    if (!open_) return absl::UnavailableError("starting");
    return store_->Writable();
  }

  void RefreshMetrics() {
    const StoreBounds bounds = store_->Bounds();
    store_size_.Set(static_cast<double>(bounds.size_bytes));
    store_oldest_.Set(bounds.oldest_stored_at == absl::InfiniteFuture()
                          ? 0
                          : absl::ToDoubleSeconds(bounds.oldest_stored_at -
                                                  absl::UnixEpoch()));
    webhooks_.RefreshMetrics();
    if (open_) grpc_->UpdateMetrics();
  }

  void Trim() {
    absl::Status status = store_->Trim(RetentionOf(settings_));
    const DeliveriesSettings& deliveries = settings_.deliveries;
    status.Update(store_->TrimDeliveries(
        {.max_age = deliveries.max_age,
         .max_records = deliveries.max_records,
         .max_refused_records = deliveries.max_refused_records}));
    if (!status.ok() && !draining_) {
      Log(LogLevel::kWarn, "retention", {{"error", status.ToString()}});
    }
  }

  const Settings settings_;
  const std::unique_ptr<Clock> clock_;
  const std::unique_ptr<Metrics> metrics_;
  const std::unique_ptr<SecurityFiles> files_;
  const std::unique_ptr<SqliteEventStore> store_;
  ThreadPool readers_;
  EventHub hub_;
  DeliveryBroadcast deliveries_;
  SubscriberJournal subscribers_;
  RateHistory rates_;
  Receiver receiver_;
  OperatorQueries operators_;
  DeliveryRecorder recorder_;
  WebhookServer webhooks_;
  std::unique_ptr<rpc::GrpcServer> grpc_;
  std::unique_ptr<EventDoor> events_;
  std::unique_ptr<AdminServer> admin_;
  prometheus::Gauge& store_size_;
  prometheus::Gauge& store_oldest_;
  std::unique_ptr<Periodic> sampler_;
  std::unique_ptr<Periodic> trimmer_;
  std::unique_ptr<Periodic> health_;
  std::unique_ptr<Periodic> reloader_;
  std::atomic<bool> open_ = false;
  std::atomic<bool> draining_ = false;
  bool stopped_ = false;
};

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(
    const Settings& configured) {
  Settings settings = configured;
  ConfigureLog(settings.log.level, settings.log.format);
  FitConnections(RaiseDescriptorLimit(), settings);
  // Abseil's search for lock cycles, on by default in Debian, costs gRPC a
  // fifth of its processor time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  auto clock = std::make_unique<SystemClock>();
  WAGGLE_ASSIGN_OR_RETURN(std::unique_ptr<SecurityFiles> files,
                          SecurityFiles::Load(settings, *clock));
  auto metrics = std::make_unique<Metrics>();
  WAGGLE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteEventStore> store,
                          SqliteEventStore::Open(StoreOptions(settings), *clock,
                                                 *metrics, EndProcess));
  auto parts =
      std::make_unique<Parts>(settings, std::move(clock), std::move(metrics),
                              std::move(files), std::move(store));
  WAGGLE_RETURN_IF_ERROR(parts->Open());
  return std::unique_ptr<Gateway>(new Gateway(std::move(parts)));
}

Gateway::Gateway(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Gateway::~Gateway() = default;

int Gateway::webhook_port() const { return parts_->webhook_port(); }
int Gateway::grpc_port() const { return parts_->grpc_port(); }
int Gateway::admin_port() const { return parts_->admin_port(); }
void Gateway::Drain() { parts_->Drain(); }

}  // namespace waggle
