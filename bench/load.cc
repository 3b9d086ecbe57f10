// waggle_bench: the gateway as a whole, under load. Every figure stands beside
// the bare ceiling of the libraries below it, measured in the same run in
// turns. docs/BENCHMARKS.md tells what was found and how to read it.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "child_process.h"
#include "cipher_cost.h"
#include "disk_sync.h"
#include "event_feed.h"
#include "http_load.h"
#include "report.h"
#include "servers.h"
#include "sqlite_scan.h"
#include "store/sqlite/sqlite_event_store.h"
#include "stream_load.h"

namespace waggle::bench {
namespace {

struct Options {
  std::vector<std::string> parts;
  int runs = 3;
  double seconds = 2;
  int replayed = 300'000;
  std::string waggle;
  std::string directory = ".";
  std::vector<int> connections = {1, 16, 64};
  std::vector<int> subscribers = {1, 100, 1000};
};

constexpr char kBareHttp[] = "bare-http";
constexpr char kBareStreams[] = "bare-streams";
constexpr char kBareStreamsWithTls[] = "bare-streams-with-tls";
constexpr char kAccepts[] = "accepts";
constexpr char kAcceptsWithoutLog[] = "accepts-without-delivery-log";
constexpr char kFanOut[] = "fan-out";
constexpr char kFanOutWithRights[] = "fan-out-with-rights";
constexpr char kFanOutWithTls[] = "fan-out-with-tls";

constexpr int kIdleSubscribers = 1000;
constexpr int kStreamConnections = 4;

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::string Format(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

ChildProcess Self(const std::string& server, const std::string& directory = ".",
                  const std::string& stderr_path = "") {
  return ChildProcess({"/proc/self/exe", "--serve", server, "--dir", directory},
                      stderr_path);
}

// CPU over the whole load, warming up included, spread over what it counted.
Figure LoadWebhooks(WebhookSupply& supply, ChildProcess& server, int port,
                    int connections, double seconds) {
  const double cpu = server.CpuSeconds();
  const HttpLoadResult result = LoadHttp(supply, port, connections, seconds);
  return {result.per_second,
          (server.CpuSeconds() - cpu) / result.answered * 1e6, result.p50_us,
          result.p99_us};
}

void MeasureAccepts(const Options& options) {
  PrintHeading(
      "Accepts: webhooks answered, by kept-alive connections. Bare: "
      "cpp-httplib, a handler that does nothing. Waggle: verified, decoded, "
      "durable.");
  WebhookSupply supply;
  for (const int connections : options.connections) {
    const auto bare = [&] {
      ChildProcess server = Self(kBareHttp);
      const int port = server.ReadPort();
      return LoadWebhooks(supply, server, port, connections, options.seconds);
    };
    const auto waggle = [&] {
      const TemporaryDirectory directory(options.directory);
      GatewayProcess gateway(options.waggle, directory.path());
      return LoadWebhooks(supply, gateway.process(), gateway.webhook_port(),
                          connections, options.seconds);
    };
    PrintComparison(std::to_string(connections) + " connections",
                    Compare(options.runs, bare, waggle),
                    connections == 64 ? "(goal: 50 %)" : "");
    const TemporaryDirectory directory(options.directory);
    const SyncTime sync = MeasureDiskSync(directory.path());
    PrintValue("disk",
               Format("64 KiB written and synced in p50 %.0f us", sync.p50) +
                   Format("  p99 %.0f us", sync.p99),
               "");
  }
}

void MeasureDeliveryLog(const Options& options) {
  constexpr int kConnections = 64;
  PrintHeading(
      "Delivery log: webhooks answered, by 64 kept-alive connections. Bare: "
      "without the delivery log. Waggle: with a record of each, in its event's "
      "transaction.");
  WebhookSupply supply;
  const auto load = [&](const std::string& server_name) {
    const TemporaryDirectory directory(options.directory);
    ChildProcess server =
        Self(server_name, directory.path(), directory.path() + "/log");
    const int port = server.ReadPort();
    return LoadWebhooks(supply, server, port, kConnections, options.seconds);
  };
  PrintComparison("64 connections",
                  Compare(
                      options.runs, [&] { return load(kAcceptsWithoutLog); },
                      [&] { return load(kAccepts); }),
                  "(goal: 90 %)");
}

// How subscribers get in.
struct Entry {
  std::string token = "";
  // With the certificates in the directory, if an authority vouches for them.
  std::string authority = "";
  std::string directory = ".";
};

Figure LoadStreams(const std::string& server_name, int subscribers,
                   double seconds, const Entry& entry = {}) {
  ChildProcess server = Self(server_name, entry.directory);
  Subscribers clients(server.ReadPort(),
                      std::min(subscribers, kStreamConnections),
                      entry.authority, entry.token);
  clients.Add(subscribers, {});
  server.Command("start");
  absl::SleepFor(absl::Seconds(seconds / 5));
  const auto begin = std::chrono::steady_clock::now();
  const double cpu = server.CpuSeconds();
  const uint64_t before = clients.events();
  absl::SleepFor(absl::Seconds(seconds));
  const double events = static_cast<double>(clients.events() - before);
  const double cpu_used = server.CpuSeconds() - cpu;
  return {events / SecondsSince(begin), cpu_used / events * 1e6};
}

void MeasureFanOut(const Options& options) {
  PrintHeading(
      "Fan-out: events delivered to all subscribers together, saturated. Bare: "
      "gRPC streams that write one prebuilt message of 64 events. Waggle: "
      "appended to the store in memory, through hub and streams.");
  for (const int subscribers : options.subscribers) {
    PrintComparison(
        std::to_string(subscribers) + " subscribers",
        Compare(
            options.runs,
            [&] {
              return LoadStreams(kBareStreams, subscribers, options.seconds);
            },
            [&] { return LoadStreams(kFanOut, subscribers, options.seconds); }),
        subscribers == 100 ? "(goal: 80 %)" : "");
  }
}

void MeasureSecurity(const Options& options) {
  PrintHeading(
      "Security: the fan-out to 100 subscribers again. Bare: everybody may "
      "read "
      "everything, in plain text. Rights: a token, rights that name an event "
      "type, no personal data. TLS: the same over TLS, also beside bare gRPC "
      "streams over TLS.");
  constexpr int kSubscribers = 100;
  const TemporaryDirectory directory(options.directory);
  const std::string authority = MakeCertificates(directory.path());
  const auto open = [&] {
    return LoadStreams(kFanOut, kSubscribers, options.seconds);
  };
  PrintComparison("rights",
                  Compare(options.runs, open,
                          [&] {
                            return LoadStreams(kFanOutWithRights, kSubscribers,
                                               options.seconds, {kToken});
                          }),
                  "");
  const auto secured = [&] {
    return LoadStreams(kFanOutWithTls, kSubscribers, options.seconds,
                       {kToken, authority, directory.path()});
  };
  const Comparison tls = Compare(options.runs, open, secured);
  PrintComparison("rights and TLS", tls, "(goal: 75 %)");
  // Server and load share the cores, and both have every byte to encrypt.
  const double plain = std::thread::hardware_concurrency() / tls.bare.rate;
  const double cipher = MeasureCipherCost() *
                        static_cast<double>(EventFeed().Stored().event.size());
  PrintValue("AES-256-GCM alone, added to what plain text takes",
             Format("%.0f %% of it", plain / (plain + cipher) * 100), "");
  PrintComparison("the same, beside gRPC over TLS",
                  Compare(
                      options.runs,
                      [&] {
                        return LoadStreams(kBareStreamsWithTls, kSubscribers,
                                           options.seconds,
                                           {"", authority, directory.path()});
                      },
                      secured),
                  "");
}

void FillStore(const std::string& data_directory, int events) {
  SystemClock clock;
  Metrics metrics;
  SqliteOptions store_options;
  store_options.directory = data_directory;
  auto store = SqliteEventStore::Open(
      store_options, clock, metrics,
      [](const absl::Status& status) { Die(status.ToString()); });
  if (!store.ok()) Die(store.status().ToString());
  (*store)->Start([](absl::Span<const StoredEventPtr>) {});
  Appender(**store).Append(static_cast<size_t>(events));
  (*store)->Close();
}

// A subscriber that reads everything; CPU is the gateway's.
Figure Replay(GatewayProcess& gateway, int events) {
  v1::SubscribeRequest request;
  request.set_position(v1::START_POSITION_EARLIEST);
  request.set_stop_when_caught_up(true);
  Subscribers client(gateway.grpc_port(), 1);
  const double cpu = gateway.process().CpuSeconds();
  const auto begin = std::chrono::steady_clock::now();
  client.Add(1, request);
  client.WaitUntilEnded();
  const double elapsed = SecondsSince(begin);
  if (client.events() != static_cast<uint64_t>(events)) {
    Die("a replay gave " + std::to_string(client.events()) + " events");
  }
  return {events / elapsed,
          (gateway.process().CpuSeconds() - cpu) / events * 1e6};
}

void MeasureReplay(const Options& options) {
  PrintHeading(
      "Replay: one subscriber reads all " + std::to_string(options.replayed) +
      " events from the earliest on. Bare: SQLite's own scan of the same "
      "table.");
  const TemporaryDirectory directory(options.directory);
  const std::string data = GatewayProcess::DataDirectory(directory.path());
  FillStore(data, options.replayed);
  const auto scan = [&] { return ScanEvents(data); };
  PrintComparison("cold",
                  Compare(
                      options.runs,
                      [&] {
                        DropFromPageCache(data);
                        return scan();
                      },
                      [&] {
                        DropFromPageCache(data);
                        GatewayProcess gateway(options.waggle,
                                               directory.path());
                        DropFromPageCache(data);
                        return Replay(gateway, options.replayed);
                      }),
                  "");
  GatewayProcess gateway(options.waggle, directory.path());
  Replay(gateway, options.replayed);
  PrintComparison("warm",
                  Compare(options.runs, scan,
                          [&] { return Replay(gateway, options.replayed); }),
                  "(goal: 40 %)");
}

// Memory for each of many streams on which nothing happens, in KiB.
double IdleKib(ChildProcess& server, int port) {
  Subscribers clients(port, kStreamConnections);
  // What the first streams bring along is not theirs alone.
  clients.Add(2 * kStreamConnections, {});
  const long before = server.ResidentKib();
  clients.Add(kIdleSubscribers, {});
  return static_cast<double>(server.ResidentKib() - before) / kIdleSubscribers;
}

void MeasureIdle(const Options& options) {
  PrintHeading("Idle: memory of the server for each of 1,000 subscribers.");
  std::vector<double> bare;
  std::vector<double> waggle;
  for (int i = 0; i < options.runs; ++i) {
    ChildProcess server = Self(kBareStreams);
    const int port = server.ReadPort();
    bare.push_back(IdleKib(server, port));
    const TemporaryDirectory directory(options.directory);
    GatewayProcess gateway(options.waggle, directory.path());
    waggle.push_back(IdleKib(gateway.process(), gateway.grpc_port()));
  }
  PrintValue("bare", Format("%.1f KiB", Median(bare)), "");
  PrintValue("waggle", Format("%.1f KiB", Median(waggle)), "(goal: 25 KB)");
}

struct Part {
  const char* name;
  void (*measure)(const Options&);
};
constexpr Part kParts[] = {
    {"accept", MeasureAccepts}, {"delivery-log", MeasureDeliveryLog},
    {"fan-out", MeasureFanOut}, {"security", MeasureSecurity},
    {"replay", MeasureReplay},  {"idle", MeasureIdle}};

void Measure(const Options& options) {
  std::printf("%u cores, shared by server and load; medians of %d runs\n",
              std::thread::hardware_concurrency(), options.runs);
  for (const Part& part : kParts) {
    if (options.parts.empty() ||
        std::count(options.parts.begin(), options.parts.end(), part.name)) {
      part.measure(options);
    }
  }
}

std::string SiblingWaggle() {
  const std::string self =
      std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return self + "/waggle";
}

int Main(int argc, char** argv) {
  Options options;
  options.waggle = SiblingWaggle();
  CLI::App app(
      "Measures the gateway under load, beside the bare ceiling of the "
      "libraries below it in the same run. Needs a quiet machine.");
  app.add_option(
         "parts", options.parts,
         "What to measure: accept, delivery-log, fan-out, security, replay, "
         "idle; all if none is named")
      ->check(CLI::IsMember(
          {"accept", "delivery-log", "fan-out", "security", "replay", "idle"}));
  app.add_option("--runs", options.runs, "Runs, of which the median is told")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of a run")
      ->capture_default_str();
  app.add_option("--events", options.replayed, "Events of the replay")
      ->capture_default_str();
  app.add_option("--connections", options.connections,
                 "Numbers of connections for accept")
      ->delimiter(',')
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--subscribers", options.subscribers,
                 "Numbers of subscribers for fan-out")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--dir", options.directory,
                 "Where the data goes: on the kind of disk that is meant, not "
                 "in memory")
      ->capture_default_str();
  app.add_option("--waggle", options.waggle, "The program to measure")
      ->capture_default_str();
  bool quick = false;
  app.add_flag("--quick", quick,
               "One run of half a second each and a short replay: whether it "
               "works, not how fast");
  // What this program starts itself: not in the help.
  const std::map<std::string, std::function<int()>> servers = {
      {kBareHttp, ServeBareHttp},
      {kBareStreams, ServeBareStreams},
      {kBareStreamsWithTls,
       [&options] { return ServeBareStreamsWithTls(options.directory); }},
      {kAccepts, [&options] { return ServeAccepts(options.directory, true); }},
      {kAcceptsWithoutLog,
       [&options] { return ServeAccepts(options.directory, false); }},
      {kFanOut, ServeFanOut},
      {kFanOutWithRights, ServeFanOutWithRights},
      {kFanOutWithTls,
       [&options] { return ServeFanOutWithTls(options.directory); }}};
  std::string serve;
  app.add_option("--serve", serve)->group("")->check(CLI::IsMember(&servers));
  CLI11_PARSE(app, argc, argv);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (!serve.empty()) return servers.at(serve)();
  if (quick) {
    options.runs = 1;
    options.seconds = 0.5;
    options.replayed = 20'000;
  }
  Measure(options);
  return 0;
}

}  // namespace
}  // namespace waggle::bench

int main(int argc, char** argv) { return waggle::bench::Main(argc, argv); }
