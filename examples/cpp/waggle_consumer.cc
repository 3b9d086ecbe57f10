// Prints Waggle's events as JSON lines, and never loses one.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "waggle/v1/event_service.grpc.pb.h"

namespace {

namespace v1 = waggle::v1;
using google::protobuf::util::MessageToJsonString;
using std::chrono::system_clock;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

enum ExitCode { kOk = 0, kFailure = 1, kUsage = 2, kRefused = 3, kGap = 4 };

// How soon a signal or a silence is noticed.
constexpr std::chrono::milliseconds kTick{100};
// Asking again changes nothing.
constexpr grpc::StatusCode kPermanent[] = {
    grpc::INVALID_ARGUMENT, grpc::UNAUTHENTICATED, grpc::PERMISSION_DENIED,
    grpc::UNIMPLEMENTED,    grpc::OUT_OF_RANGE,    grpc::FAILED_PRECONDITION,
    grpc::NOT_FOUND};

volatile std::sig_atomic_t stop_requested = 0;

struct Flags {
  std::string target = "127.0.0.1:50051", from = "latest", on_gap = "fail";
  std::string cursor_file, tls_ca, token_file;
  v1::EventFilter filter;
  int heartbeat = 30;
};

[[noreturn]] void Exit(ExitCode code, const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  _exit(code);
}

std::string ReadText(const std::string& path) {
  std::string text;
  std::getline(std::ifstream(path), text, '\0');
  absl::StripAsciiWhitespace(&text);
  if (text.empty()) Exit(kFailure, "cannot be read, or is empty: " + path);
  return text;
}

v1::StartPosition PositionOf(const std::string& name) {
  return name == "earliest" ? v1::START_POSITION_EARLIEST
                            : v1::START_POSITION_LATEST;
}

class Consumer {
 public:
  explicit Consumer(const Flags& flags) : flags_(flags) {
    if (!flags.tls_ca.empty()) {
      credentials_ = grpc::SslCredentials({ReadText(flags.tls_ca), "", ""});
    }
    if (!flags.token_file.empty()) ReadText(flags.token_file);
    if (flags.filter.ByteSizeLong() > 0) *request_.add_filters() = flags.filter;
    request_.mutable_heartbeat_interval()->set_seconds(flags.heartbeat);
    request_.set_position(PositionOf(flags.from));
    if (access(flags.cursor_file.c_str(), F_OK) == 0 || errno != ENOENT) {
      request_.set_after_cursor(ReadText(flags.cursor_file));
    }
  }

  void Run() {
    while (!stop_requested) {
      const grpc::Status status = RunStream();
      if (stop_requested) return;
      std::string reason = "status " + std::to_string(status.error_code());
      Seconds retry_delay{0};
      google::rpc::Status details;
      details.ParseFromString(status.error_details());
      for (const google::protobuf::Any& detail : details.details()) {
        google::rpc::ErrorInfo info;
        google::rpc::RetryInfo retry;
        if (detail.UnpackTo(&info) && info.domain() == "waggle.dev") {
          reason = info.reason();
        } else if (detail.UnpackTo(&retry)) {
          retry_delay = Seconds(retry.retry_delay().seconds() +
                                retry.retry_delay().nanos() / 1e9);
        }
      }
      const std::string error = reason + ": " + status.error_message();
      if (reason == "CURSOR_EXPIRED" || reason == "CURSOR_STORE_MISMATCH") {
        if (flags_.on_gap == "fail") Exit(kGap, error + "; see --on-gap");
        request_.set_position(PositionOf(flags_.on_gap));
      } else if (std::ranges::count(kPermanent, status.error_code()) > 0) {
        Exit(kRefused, error);
      }
      // By chance, so that not all consumers come back at once.
      const Seconds wait =
          std::max(backoff_ * absl::Uniform(random_, 0.5, 1.0),
                   retry_delay * absl::Uniform(random_, 1.0, 1.2));
      backoff_ = std::min(2 * backoff_, Seconds(10));
      std::fprintf(stderr, "reconnecting in %.1f s: %s\n", wait.count(),
                   error.c_str());
      const auto end = Clock::now() + wait;
      while (!stop_requested && Clock::now() < end) {
        std::this_thread::sleep_for(kTick);
      }
    }
  }

 private:
  grpc::Status RunStream() {
    grpc::ClientContext context;
    if (!flags_.token_file.empty()) {
      std::string token;
      std::ifstream(flags_.token_file) >> token;
      // gRPC ends a program that gives it anything else.
      if (token.empty() || !std::ranges::all_of(token, absl::ascii_isgraph)) {
        return {grpc::UNAVAILABLE, "no token in " + flags_.token_file};
      }
      context.AddMetadata("authorization", "Bearer " + token);
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // Or the next channel would share this one's connection, dead or alive.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(64 << 20);
    const auto stub = v1::EventService::NewStub(
        grpc::CreateCustomChannel(flags_.target, credentials_, arguments));
    grpc::CompletionQueue cq;
    bool silent = false;
    // Waits for the operation under way; cancels the call on a signal, and if
    // nothing came for so long that the connection must be dead.
    const auto await = [&] {
      const auto deadline = Clock::now() + 3 * Seconds(flags_.heartbeat);
      void* tag;
      bool ok = false;
      while (cq.AsyncNext(&tag, &ok, system_clock::now() + kTick) ==
             cq.TIMEOUT) {
        silent = silent || Clock::now() > deadline;
        if (silent || stop_requested) context.TryCancel();
      }
      return ok;
    };
    auto reader = stub->AsyncSubscribe(&context, request_, &cq, nullptr);
    v1::SubscribeResponse response;
    for (bool open = await(); open && !stop_requested;) {
      reader->Read(&response, nullptr);
      open = await();
      if (open) Handle(response);
    }
    grpc::Status status;
    reader->Finish(&status, nullptr);
    await();
    return silent ? grpc::Status(grpc::UNAVAILABLE, "no heartbeat") : status;
  }

  void Handle(const v1::SubscribeResponse& response) {
    backoff_ = Seconds(0.1);
    for (const v1::Event& event : response.events()) {
      std::string line;
      if (!MessageToJsonString(event, &line).ok()) Exit(kFailure, "not JSON");
      std::puts(line.c_str());
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      Exit(errno == EPIPE ? kOk : kFailure, std::strerror(errno));
    }
    if (response.cursor() == request_.after_cursor()) return;
    request_.set_after_cursor(response.cursor());
    if (!flags_.cursor_file.empty()) StoreCursor(response.cursor());
  }

  // In one step, so that the file never holds half a cursor.
  void StoreCursor(const std::string& cursor) {
    const std::string& path = flags_.cursor_file;
    const std::string fresh = path + ".new";
    std::FILE* file = std::fopen(fresh.c_str(), "w");
    if (file == nullptr || std::fputs(cursor.c_str(), file) < 0 ||
        std::fflush(file) != 0 || fsync(fileno(file)) != 0 ||
        std::fclose(file) != 0 || std::rename(fresh.c_str(), path.c_str())) {
      Exit(kFailure, "cannot store " + path + ": " + std::strerror(errno));
    }
  }

  const Flags flags_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_ =
      grpc::InsecureChannelCredentials();
  // The next attempt's: its start moves along with what was handled.
  v1::SubscribeRequest request_;
  Seconds backoff_{0.1};
  absl::BitGen random_;
};

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{
      "Prints a gateway's events as JSON lines. Exit codes: 0 signal or "
      "closed\n"
      "output, 1 failure, 2 bad command line, 3 refused, 4 gap"};
  app.option_defaults()->always_capture_default();
  app.add_option("--target", flags.target, "The gateway, HOST:PORT");
  const auto add_filter = [&app](const char* name, auto* values) {
    app.add_option_function<std::vector<std::string>>(
        name, [=](const auto& v) { values->Add(v.begin(), v.end()); },
        "Only these; values are alternatives");
  };
  add_filter("--type-name", flags.filter.mutable_type_names());
  add_filter("--connector", flags.filter.mutable_connector_ids());
  add_filter("--origin", flags.filter.mutable_origin_ids());
  add_filter("--endpoint", flags.filter.mutable_endpoints());
  app.add_option("--cursor-file", flags.cursor_file, "Keeps the cursor");
  app.add_option("--from", flags.from, "Where to start without a cursor")
      ->check(CLI::IsMember({"earliest", "latest"}));
  app.add_option("--on-gap", flags.on_gap, "How to go on if events are lost")
      ->check(CLI::IsMember({"fail", "earliest", "latest"}));
  app.add_option("--heartbeat", flags.heartbeat, "Seconds between heartbeats")
      ->check(CLI::Range(1, 600));
  app.add_option("--tls-ca", flags.tls_ca, "TLS, verified by this PEM file");
  app.add_option("--token-file", flags.token_file, "Holds the bearer token");
  for (CLI::Option* option : app.get_options()) option->allow_extra_args(false);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  // A second signal ends the program at once.
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested = 1; };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  for (int signal : {SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  Consumer(flags).Run();
}
