#include "servers.h"

#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <regex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "base/thread_pool.h"
#include "bindbee/demo_key.h"
#include "event_feed.h"
#include "grpcpp/server_builder.h"
#include "http/webhook_server.h"
#include "httplib.h"
#include "ingest/delivery_recorder.h"
#include "ingest/receiver.h"
#include "ops/delivery_broadcast.h"
#include "ops/operator_queries.h"
#include "ops/subscriber_journal.h"
#include "rpc/grpc_server.h"
#include "rpc/tls_credentials.h"
#include "security/access_control.h"
#include "security/tls_material.h"
#include "store/memory/memory_event_store.h"
#include "store/sqlite/sqlite_event_store.h"
#include "stream/batch.h"
#include "tests/fakes/certificates.h"
#include "waggle/v1/event_service.grpc.pb.h"

namespace waggle::bench {
namespace {

// Enough for every connection that the load opens.
constexpr size_t kHttpThreads = 80;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kBacklog = 1024;
constexpr int kKeepAliveSeconds = 60;
constexpr size_t kEventsPerMessage = 64;
constexpr int kStreamsPerConnection = 4096;

void WritePort(int port) { std::cout << port << std::endl; }

// Runs `start` at the command "start"; returns when standard input ends.
void ObeyCommands(const std::function<void()>& start) {
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "start") start();
  }
}

using BareServiceBase = v1::EventService::WithRawCallbackMethod_Subscribe<
    v1::EventService::Service>;

class BareHttpServer final : public httplib::Server {
 public:
  BareHttpServer() {
    new_task_queue = [] { return new httplib::ThreadPool(kHttpThreads); };
    set_tcp_nodelay(true);
    set_keep_alive_max_count(SIZE_MAX);
    set_keep_alive_timeout(kKeepAliveSeconds);
    Post("/webhooks/bindbee",
         [](const httplib::Request&, httplib::Response&) {});
  }

  int Bind() {
    const int port = bind_to_any_port("127.0.0.1");
    // cpp-httplib's own 5 loses some of many connections that come at once.
    ::listen(svr_sock_, kBacklog);
    return port;
  }
};

class BareService final : public BareServiceBase {
 public:
  BareService() {
    const Cursor cursor{{}, Sequence(1'000'000)};
    BatchBuilder builder({.personal_data = true}, kEventsPerMessage);
    greeting_ = ToBuffer(builder.Finish(cursor, true)->message);
    const StoredEvent event = EventFeed().Stored();
    while (!builder.full()) builder.Add(event);
    message_ = ToBuffer(builder.Finish(cursor, true)->message);
  }

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(
      grpc::CallbackServerContext*, const grpc::ByteBuffer*) override {
    MutexLock lock(mu_);
    auto* stream = new Stream(*this);
    streams_.insert(stream);
    stream->StartWrite(&greeting_);
    return stream;
  }

  void Start() {
    MutexLock lock(mu_);
    started_ = true;
    for (Stream* stream : idle_) stream->StartWrite(&message_);
    idle_.clear();
  }

 private:
  class Stream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
   public:
    explicit Stream(BareService& service) : service_(service) {}
    void OnWriteDone(bool ok) override { service_.OnWritten(this, ok); }
    void OnCancel() override { service_.OnCancelled(this); }
    void OnDone() override { service_.Forget(this); }

   private:
    BareService& service_;
  };

  static grpc::ByteBuffer ToBuffer(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    return grpc::ByteBuffer(&slice, 1);
  }

  // Without the lock when all streams write, so that they do not wait for one
  // another.
  void OnWritten(Stream* stream, bool ok) {
    if (ok && started_) {
      stream->StartWrite(&message_);
      return;
    }
    MutexLock lock(mu_);
    if (!ok || cancelled_.contains(stream)) {
      stream->Finish(grpc::Status::CANCELLED);
    } else if (started_) {
      stream->StartWrite(&message_);
    } else {
      idle_.insert(stream);
    }
  }
  void OnCancelled(Stream* stream) {
    MutexLock lock(mu_);
    cancelled_.insert(stream);
    if (idle_.erase(stream) > 0) stream->Finish(grpc::Status::CANCELLED);
  }
  void Forget(Stream* stream) {
    MutexLock lock(mu_);
    cancelled_.erase(stream);
    streams_.erase(stream);
    delete stream;
  }

  grpc::ByteBuffer greeting_;
  grpc::ByteBuffer message_;
  std::atomic<bool> started_ = false;
  Mutex mu_;
  std::set<Stream*> streams_ ABSL_GUARDED_BY(mu_);
  std::set<Stream*> idle_ ABSL_GUARDED_BY(mu_);
  std::set<Stream*> cancelled_ ABSL_GUARDED_BY(mu_);
};

// Appends as fast as the slowest subscriber takes.
class Producer {
 public:
  Producer(MemoryEventStore& store, rpc::GrpcServer& server, Metrics& metrics)
      : store_(store),
        server_(server),
        lag_(metrics.Gauge("waggle_subscriber_max_lag_events", "")),
        thread_([this] { Run(); }) {}
  ~Producer() {
    stopping_ = true;
    thread_.join();
  }

 private:
  // Far more than a subscriber takes between two looks, far less than the hub
  // holds in memory.
  static constexpr double kMostLag = 16'384;
  static constexpr size_t kStep = 1024;
  static constexpr uint64_t kKeptBytes = 64 << 20;
  static constexpr absl::Duration kLook = absl::Milliseconds(2);

  void Run() {
    Appender appender(store_);
    while (!stopping_) {
      server_.UpdateMetrics();
      if (lag_.Value() > kMostLag) {
        absl::SleepFor(kLook);
        continue;
      }
      appender.Append(kStep);
      store_.Trim({.max_bytes = kKeptBytes}).IgnoreError();
    }
  }

  MemoryEventStore& store_;
  rpc::GrpcServer& server_;
  const prometheus::Gauge& lag_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

std::string Slurp(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int PortOf(const std::string& log, const std::string& door) {
  std::smatch match;
  const std::regex pattern("\"" + door + "\":\"[^\"]*:([0-9]+)\"");
  return std::regex_search(log, match, pattern) ? std::stoi(match[1]) : 0;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::string& parent)
    : path_(parent + "/waggle-bench-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) {
    Die("cannot make a directory in " + parent);
  }
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

GatewayProcess::GatewayProcess(const std::string& program,
                               const std::string& directory) {
  const std::string key = directory + "/key";
  const std::string config = directory + "/waggle.yaml";
  const std::string log = directory + "/log";
  std::ofstream(key) << kDemoKey;
  std::filesystem::permissions(key, std::filesystem::perms::owner_read |
                                        std::filesystem::perms::owner_write);
  std::ofstream(config) << "webhook:\n  listen: 127.0.0.1:0\n  endpoints:\n"
                        << "    - name: bindbee\n      signing_key_files: ["
                        << key << "]\n"
                        << "grpc:\n  listen: 127.0.0.1:0\n"
                        << "admin:\n  listen: 127.0.0.1:0\n"
                        << "store:\n  path: " << DataDirectory(directory)
                        << "\nlog:\n  format: json\n";
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{program, "serve", "--config", config}, log);
  const absl::Time deadline = absl::Now() + kPatience;
  while (grpc_port_ == 0) {
    if (!process_->running() || absl::Now() > deadline) {
      Die(program + " did not start; it said:\n" + Slurp(log));
    }
    absl::SleepFor(absl::Milliseconds(5));
    const std::string said = Slurp(log);
    const size_t serving = said.find("\"serving\"");
    if (serving == std::string::npos || said.back() != '\n') continue;
    webhook_port_ = PortOf(said, "webhook");
    grpc_port_ = PortOf(said, "grpc");
    if (grpc_port_ == 0) Die("cannot read the ports in:\n" + said);
  }
}

std::string GatewayProcess::DataDirectory(const std::string& directory) {
  return directory + "/data";
}

int ServeBareHttp() {
  BareHttpServer server;
  WritePort(server.Bind());
  std::thread listener([&server] { server.listen_after_bind(); });
  ObeyCommands([] {});
  server.stop();
  listener.join();
  return 0;
}

namespace {

int ServeBareStreamsTo(
    const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  BareService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kStreamsPerConnection);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  WritePort(port);
  ObeyCommands([&service] { service.Start(); });
  // Streams that are still open would be waited for.
  std::_Exit(0);
}

int ServeFanOutTo(const AccessControl& access, const TlsSource* tls) {
  SystemClock clock;
  Metrics metrics;
  MemoryEventStore store(clock);
  ThreadPool readers(4);
  EventHub hub(store, readers, {});
  hub.Start();
  rpc::GrpcOptions options;
  options.streams.per_connection = kStreamsPerConnection;
  options.tls = tls;
  SubscriberJournal subscribers(store, hub, store, access, clock, metrics);
  OperatorQueries operators(store, store, subscribers, clock, {});
  DeliveryBroadcast deliveries(store);
  deliveries.Start();
  auto server = rpc::GrpcServer::Start(options, {.store = store,
                                                 .hub = hub,
                                                 .readers = readers,
                                                 .access = access,
                                                 .subscribers = subscribers,
                                                 .operators = operators,
                                                 .deliveries = deliveries,
                                                 .metrics = metrics});
  if (!server.ok()) Die(server.status().ToString());
  WritePort((*server)->port());
  std::unique_ptr<Producer> producer;
  ObeyCommands(
      [&] { producer = std::make_unique<Producer>(store, **server, metrics); });
  // What is measured is over; an orderly end would still send the rest.
  std::_Exit(0);
}

std::unique_ptr<AccessControl> NarrowAccess(const Clock& clock) {
  auto access = std::make_unique<AccessControl>(std::nullopt, clock);
  const Sha256Digest digest = Sha256({kToken});
  config::v1::Access policy;
  auto* principal = policy.add_principals();
  principal->set_name("bench");
  principal->add_token_sha256(absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size())));
  principal->mutable_allow()->add_event_types("connector_data_modified");
  const absl::Status status = access->SetPolicy(policy);
  if (!status.ok()) Die(status.ToString());
  return access;
}

std::string CertificatePath(const std::string& directory) {
  return directory + "/tls.crt";
}
std::string KeyPath(const std::string& directory) {
  return directory + "/tls.key";
}

std::unique_ptr<TlsSource> OpenTls(const std::string& directory,
                                   const Clock& clock) {
  auto tls = TlsSource::Open(
      {CertificatePath(directory), KeyPath(directory), ""}, clock);
  if (!tls.ok()) Die(tls.status().ToString());
  return *std::move(tls);
}

}  // namespace

int ServeBareStreams() {
  return ServeBareStreamsTo(grpc::InsecureServerCredentials());
}

int ServeBareStreamsWithTls(const std::string& directory) {
  const SystemClock clock;
  const auto tls = OpenTls(directory, clock);
  return ServeBareStreamsTo(
      rpc::TlsServerCredentials(*tls, ClientCertificates::kOff));
}

int ServeFanOut() {
  const SystemClock clock;
  return ServeFanOutTo(*AccessControl::Open(clock), nullptr);
}

int ServeFanOutWithRights() {
  const SystemClock clock;
  return ServeFanOutTo(*NarrowAccess(clock), nullptr);
}

int ServeFanOutWithTls(const std::string& directory) {
  const SystemClock clock;
  return ServeFanOutTo(*NarrowAccess(clock), OpenTls(directory, clock).get());
}

int ServeAccepts(const std::string& directory, bool record_deliveries) {
  constexpr char kEndpoint[] = "bindbee";
  const SystemClock clock;
  Metrics metrics;
  SqliteOptions store_options;
  store_options.directory = directory;
  auto store = SqliteEventStore::Open(
      store_options, clock, metrics,
      [](const absl::Status& status) { Die(status.ToString()); });
  if (!store.ok()) Die(store.status().ToString());
  (*store)->FollowDeliveries([](absl::Span<const DeliveryPtr>) {});
  (*store)->Start([](absl::Span<const StoredEventPtr>) {});
  std::vector<Endpoint> endpoints(1);
  endpoints[0].name = kEndpoint;
  endpoints[0].signing_keys.emplace_back(std::string(kDemoKey));
  Receiver receiver(std::move(endpoints),
                    {.record_deliveries = record_deliveries}, **store, clock,
                    metrics);
  DeliveryRecorder recorder(/*max_per_second=*/0, **store, clock, metrics);
  WebhookOptions options;
  options.endpoints = {kEndpoint};
  WebhookServer server(std::move(options), receiver, recorder, metrics);
  if (absl::Status status = server.Listen("127.0.0.1", 0); !status.ok()) {
    Die(status.ToString());
  }
  WritePort(server.port());
  ObeyCommands([] {});
  server.Stop();
  (*store)->Close();
  return 0;
}

std::string MakeCertificates(const std::string& directory) {
  const testing::CertificateAuthority authority("waggle_bench");
  const testing::IssuedCertificate issued =
      authority.Issue({.common_name = "waggle", .sans = "DNS:localhost"});
  std::ofstream(CertificatePath(directory)) << issued.certificate_pem;
  std::ofstream(KeyPath(directory)) << issued.key_pem;
  std::filesystem::permissions(
      KeyPath(directory),
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  return authority.pem();
}

}  // namespace waggle::bench
