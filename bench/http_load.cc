#include "http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

#include "bindbee/demo_key.h"
#include "bindbee/samples.h"
#include "bindbee/signature.h"
#include "child_process.h"

namespace waggle::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kSample = "data_modified";
constexpr std::string_view kIdInSample = "0191a001-5555-7aaa-8bbb-0000000000b1";
// More than any server here answers.
constexpr double kMostPerSecond = 150'000;
constexpr int kThreads = 2;

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

// One kept-alive connection with at most one request on its way.
struct Connection {
  int fd = -1;
  std::string request;
  std::string received;
  Clock::time_point sent_at;
};

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    Die("cannot connect to the HTTP server");
  }
  return fd;
}

// Whether `received` is a whole answer; it must be 200.
bool IsAnswered(std::string_view received) {
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t head = received.find("\r\n\r\n");
  if (head == std::string_view::npos) return false;
  if (!received.starts_with("HTTP/1.1 200 ")) {
    Die("the server answered: " + std::string(received));
  }
  const size_t at = received.find(kLength);
  size_t length = 0;
  if (at < head) {
    const char* first = received.data() + at + kLength.size();
    std::from_chars(first, received.data() + head, length);
  }
  return received.size() >= head + 4 + length;
}

// One thread's share of the load.
class Loader {
 public:
  Loader(const WebhookSupply& supply,
         std::vector<WebhookSupply::Distinct> distinct, int port,
         int connections)
      : port_(port),
        supply_(supply),
        distinct_(std::move(distinct)),
        connections_(static_cast<size_t>(connections)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (Connection& connection : connections_) {
      connection.fd = Connect(port);
      connection.request = supply_.request();
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    }
  }
  ~Loader() {
    for (Connection& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  // Counts what is sent from `begin` on and answered; sends until `end`.
  void Run(Clock::time_point begin, Clock::time_point end) {
    size_t waiting = 0;
    for (Connection& connection : connections_) waiting += Send(connection);
    std::array<epoll_event, 64> events;
    while (waiting > 0) {
      const int count =
          epoll_wait(epoll_, events.data(), events.size(), 10'000);
      if (count == 0) Die("the server stopped answering");
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events[i].data.ptr);
        if (!Receive(connection)) continue;
        const Clock::time_point now = Clock::now();
        ++answered_;
        if (connection.sent_at >= begin) {
          latencies_.push_back(
              static_cast<float>(Microseconds(now - connection.sent_at)));
          last_ = now;
        }
        if (now >= end || !Send(connection)) --waiting;
      }
    }
  }

  size_t answered() const { return answered_; }
  const std::vector<float>& latencies() const { return latencies_; }
  Clock::time_point last() const { return last_; }

 private:
  bool Send(Connection& connection) {
    if (next_ == distinct_.size()) return false;
    supply_.Put(distinct_[next_++], connection.request);
    connection.received.clear();
    connection.sent_at = Clock::now();
    const std::string& request = connection.request;
    if (send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      Die("cannot send to the HTTP server");
    }
    return true;
  }

  bool Receive(Connection& connection) {
    char buffer[4096];
    const ssize_t size = recv(connection.fd, buffer, sizeof(buffer), 0);
    if (size <= 0) {
      Die("port " + std::to_string(port_) + " closed a connection, errno " +
          std::to_string(errno));
    }
    connection.received.append(buffer, static_cast<size_t>(size));
    return IsAnswered(connection.received);
  }

  const int port_;
  const WebhookSupply& supply_;
  const std::vector<WebhookSupply::Distinct> distinct_;
  std::vector<Connection> connections_;
  const int epoll_;
  size_t next_ = 0;
  size_t answered_ = 0;
  std::vector<float> latencies_;
  Clock::time_point last_;
};

}  // namespace

WebhookSupply::WebhookSupply()
    : body_(FindSample(kSample)->body), run_(std::random_device()()) {
  id_in_body_ = body_.find(kIdInSample);
  const std::string placeholder(sizeof(Distinct::signature), '-');
  request_ = "POST /webhooks/bindbee HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
             std::string(kSignatureHeader) + ": ";
  signature_in_request_ = request_.size();
  request_ += placeholder +
              "\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(body_.size()) + "\r\n\r\n";
  body_in_request_ = request_.size();
  request_ += body_;
}

std::vector<WebhookSupply::Distinct> WebhookSupply::Make(size_t count) {
  std::vector<Distinct> all(count);
  for (Distinct& distinct : all) {
    char id[sizeof(Distinct::id) + 1];
    std::snprintf(id, sizeof(id), "%08x-5555-7aaa-8bbb-%012llx", run_,
                  static_cast<unsigned long long>(++made_));
    std::memcpy(distinct.id, id, sizeof(distinct.id));
    body_.replace(id_in_body_, sizeof(distinct.id), id);
    const std::string signature = Sign(kDemoKey, body_);
    std::memcpy(distinct.signature, signature.data(),
                sizeof(distinct.signature));
  }
  return all;
}

void WebhookSupply::Put(const Distinct& distinct, std::string& request) const {
  std::memcpy(request.data() + signature_in_request_, distinct.signature,
              sizeof(distinct.signature));
  std::memcpy(request.data() + body_in_request_ + id_in_body_, distinct.id,
              sizeof(distinct.id));
}

HttpLoadResult LoadHttp(WebhookSupply& supply, int port, int connections,
                        double seconds) {
  const double warm_up = seconds / 5;
  const int threads = std::min(kThreads, connections);
  const auto requests =
      static_cast<size_t>((warm_up + seconds) * kMostPerSecond / threads);
  // All before the first connection, which the server may close if it idles.
  std::vector<std::vector<WebhookSupply::Distinct>> distinct;
  for (int i = 0; i < threads; ++i) distinct.push_back(supply.Make(requests));
  std::vector<std::unique_ptr<Loader>> loaders;
  for (int i = 0; i < threads; ++i) {
    const int share = connections / threads + (i < connections % threads);
    loaders.push_back(
        std::make_unique<Loader>(supply, std::move(distinct[i]), port, share));
  }
  const auto span = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(s));
  };
  const Clock::time_point begin = Clock::now() + span(warm_up);
  const Clock::time_point end = begin + span(seconds);
  std::vector<std::thread> running;
  for (const auto& loader : loaders) {
    running.emplace_back([&] { loader->Run(begin, end); });
  }
  for (std::thread& thread : running) thread.join();

  std::vector<float> latencies;
  Clock::time_point last = begin;
  size_t answered = 0;
  for (const auto& loader : loaders) {
    latencies.insert(latencies.end(), loader->latencies().begin(),
                     loader->latencies().end());
    last = std::max(last, loader->last());
    answered += loader->answered();
  }
  if (latencies.empty()) Die("nothing was answered");
  std::sort(latencies.begin(), latencies.end());
  const double elapsed = Microseconds(last - begin) / 1e6;
  return {static_cast<double>(latencies.size()) / elapsed,
          static_cast<double>(answered), latencies[latencies.size() / 2],
          latencies[latencies.size() * 99 / 100]};
}

}  // namespace waggle::bench
