#include "http/guarded_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/thread_pool.h"
#include "http/connection.h"
#include "http/handshake_queue.h"
#include "http/http_stream.h"
#include "http/request_parser.h"
#include "http/transport.h"
#include "net/connection_limits.h"
#include "net/listener.h"

namespace waggle {
namespace {

using Clock = Connection::Clock;
using Phase = Connection::Phase;

// How late a deadline may be noticed.
constexpr std::chrono::milliseconds kTick(50);
constexpr size_t kReadBuffer = 64 * 1024;
// After so many reads of one connection it is the others' turn.
constexpr int kReadsPerTurn = 8;
// What a client may still send after our last answer.
constexpr size_t kMaxDropped = 4 << 20;
// Connections above the limit that are answered in good order at any time; what
// comes beyond them is answered and closed without a look at what it sends.
// With TLS these are just closed: it has no answer without a handshake.
constexpr size_t kRefusedConnections = 64;
// What the system may hold of a stream beyond what is on its way. Its own limit
// is megabytes, and taking that much of many streams keeps the reactor busy.
constexpr int kMaxUnsent = 64 * 1024;
// While nearly as many are open as may be, those that were of no use yet must
// be within this time: silent ones would hold the door until their timeouts.
constexpr std::chrono::seconds kProbation(1);

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Refusal RefusalOf(ConnectionLimits::Verdict verdict) {
  if (verdict == ConnectionLimits::Verdict::kTooManyFromAddress) {
    return {RefusalReason::kTooManyFromAddress,
            "Too many connections from this address; try again later."};
  }
  return {RefusalReason::kTooManyConnections,
          "Too many connections; try again later."};
}

// If the door is crowded.
bool IsInTheWay(const Connection& connection, Clock::time_point now) {
  return !connection.of_use &&
         (connection.phase == Phase::kHandshaking ||
          connection.phase == Phase::kIdle) &&
         now - connection.accepted_at > kProbation;
}

// The way to the workers that outlives them, for answers that come late.
class WorkerDoor {
 public:
  explicit WorkerDoor(ThreadPool* workers) : workers_(workers) {}

  void Submit(ThreadPool::Job job) {
    MutexLock lock(mu_);
    if (workers_ != nullptr) workers_->Submit(std::move(job));
  }

  void Shut() {
    MutexLock lock(mu_);
    workers_ = nullptr;
  }

 private:
  Mutex mu_;
  ThreadPool* workers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

HttpResponder::~HttpResponder() {
  if (!deliver_) return;
  (*this)([] { return ProblemResponse(500, "Try again."); });
}

void HttpResponder::operator()(MakeResponse make) {
  std::exchange(deliver_, nullptr)(std::move(make));
}

// Functions are grouped by the thread that may call them.
class GuardedServer::Reactor {
 public:
  Reactor(GuardOptions options, HttpHandler& handler)
      : options_(std::move(options)),
        handler_(handler),
        limits_(options_.max_connections, options_.max_connections_per_address,
                kRefusedConnections),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wakeup_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        listener_([this](int fd) { Accept(fd); }, options_.on_listener_failed) {
  }
  ~Reactor() {
    Stop();
    close(wakeup_);
    close(epoll_);
  }

  // The owner's.
  absl::Status Listen(const std::string& host, int port);
  int port() const { return listener_.port(); }
  void BeginDrain() { draining_ = true; }
  bool WaitUntilIdle(absl::Duration timeout);
  void Stop();
  size_t connections() const { return limits_.open(); }
  size_t buffered_bytes() const { return buffered_; }

 private:
  // The listener's.
  void Accept(int fd);

  // The reactor's.
  void Run();
  void TakeQueued();
  struct Accepted;
  void Adopt(Accepted accepted);
  void OnEvent(Connection& connection, uint32_t events);
  void Sweep();
  void OnDeadline(Connection& connection);
  void StartHandshake(Connection& connection);
  void Read(Connection& connection);
  bool Consume(Connection& connection, std::string_view data);
  void BeginRequest(Connection& connection);
  bool Admit(Connection& connection);
  bool Charge(Connection& connection);
  void Dispatch(Connection& connection);
  void Refuse(Connection& connection, const Refusal& refusal);
  void Answer(Connection& connection, const HttpResponse& response);
  void Settle(Connection& connection);
  void Pump(Connection& connection);
  void LetGoOfStream(Connection& connection);
  void Destroy(Connection& connection);

  // The workers'.
  void TakeHandshake();
  void Handshake(Connection& connection);
  void ReturnToReactor(Connection& connection);
  void Serve(Connection& connection);
  void Reply(Connection& connection, HttpResponse response);
  void BeginStream(Connection& connection, HttpResponse response);

  // Any thread's.
  void Stir(Connection& connection);

  // The connection's owner's.
  void Send(Connection& connection, const HttpResponse& response);
  void Flush(Connection& connection);
  Transport::State WriteOutput(Connection& connection);
  void CloseInOrder(Connection& connection);
  void EndRequest(Connection& connection);
  void NoteFailedHandshake(const Connection& connection);

  void Wake();
  HttpResponse ResponseTo(const Refusal& refusal) const;
  static Clock::time_point After(absl::Duration duration) {
    return Clock::now() + absl::ToChronoNanoseconds(duration);
  }

  const GuardOptions options_;
  HttpHandler& handler_;
  ConnectionLimits limits_;
  const int epoll_;
  const int wakeup_;
  Listener listener_;
  std::unique_ptr<ThreadPool> workers_;
  std::shared_ptr<WorkerDoor> worker_door_;
  std::thread thread_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> draining_{false};
  // The reactor was woken and has not looked yet.
  std::atomic<bool> woken_{false};
  std::atomic<size_t> buffered_{0};
  // Requests at the handler, and requests that draining waits for.
  std::atomic<size_t> requests_{0};
  std::atomic<size_t> counted_{0};

  struct Accepted {
    int fd;
    std::string remote_address;
    ConnectionLimits::Verdict verdict;
  };
  Mutex mu_;
  CondVar idle_;
  std::vector<Accepted> accepted_ ABSL_GUARDED_BY(mu_);
  std::vector<Connection*> returned_ ABSL_GUARDED_BY(mu_);
  // Streams with something to do.
  std::vector<Connection*> stirred_ ABSL_GUARDED_BY(mu_);

  // At most half of the workers compute handshakes, so that requests find one.
  Mutex handshakes_mu_;
  HandshakeQueue handshakes_ ABSL_GUARDED_BY(handshakes_mu_);
  size_t handshaking_workers_ ABSL_GUARDED_BY(handshakes_mu_) = 0;

  // The reactor's.
  std::vector<std::unique_ptr<Connection>> connections_;
  // Closed in this turn; events of the turn may still point to them.
  std::vector<std::unique_ptr<Connection>> closed_;
  // Whose socket holds more than one turn could read.
  std::vector<Connection*> unfinished_;
  Clock::time_point next_sweep_;
  std::array<char, kReadBuffer> buffer_;
};

absl::Status GuardedServer::Reactor::Listen(const std::string& host, int port) {
  if (epoll_ < 0 || wakeup_ < 0) {
    return absl::ResourceExhaustedError(
        "cannot watch sockets: out of file descriptors; raise the limit");
  }
  workers_ = std::make_unique<ThreadPool>(options_.workers);
  worker_door_ = std::make_shared<WorkerDoor>(workers_.get());
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event);
  if (absl::Status status = listener_.Listen(host, port); !status.ok()) {
    return status;
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

bool GuardedServer::Reactor::WaitUntilIdle(absl::Duration timeout) {
  const Clock::time_point deadline = After(timeout);
  MutexLock lock(mu_);
  while (counted_ > 0) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    idle_.WaitFor(mu_, absl::FromChrono(left));
  }
  return true;
}

void GuardedServer::Reactor::Stop() {
  listener_.Stop();
  if (thread_.joinable()) {
    stopping_ = true;
    Wake();
    thread_.join();
  }
  if (workers_ != nullptr) {
    worker_door_->Shut();
    workers_.reset();
  }
  for (const auto& connection : connections_) {
    limits_.Leave(AddressKey(connection->remote_address), connection->verdict);
  }
  connections_.clear();
  MutexLock lock(mu_);
  for (const Accepted& accepted : accepted_) {
    limits_.Leave(AddressKey(accepted.remote_address), accepted.verdict);
    close(accepted.fd);
  }
  accepted_.clear();
}

void GuardedServer::Reactor::Accept(int fd) {
  Accepted accepted{fd, RemoteAddress(fd), {}};
  const ConnectionLimits::Entry entry =
      limits_.Enter(AddressKey(accepted.remote_address));
  if (!entry.counted) {
    const Refusal refusal = RefusalOf(entry.verdict);
    HttpRequest unread;
    unread.remote_address = std::move(accepted.remote_address);
    handler_.OnRefused(refusal, unread);
    if (!options_.tls_context) {
      const std::string answer =
          Serialize(ResponseTo(refusal), /*head_only=*/false, /*close=*/true);
      send(fd, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    close(fd);
    return;
  }
  accepted.verdict = entry.verdict;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  {
    MutexLock lock(mu_);
    accepted_.push_back(std::move(accepted));
  }
  Wake();
}

void GuardedServer::Reactor::Wake() {
  if (woken_.exchange(true)) return;
  eventfd_write(wakeup_, 1);
}

void GuardedServer::Reactor::Run() {
  std::array<epoll_event, 256> events;
  while (!stopping_) {
    const int timeout = !unfinished_.empty()   ? 0
                        : connections_.empty() ? -1
                                               : int{kTick.count()};
    const int count =
        epoll_wait(epoll_, events.data(), int{events.size()}, timeout);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        TakeQueued();
      } else {
        OnEvent(*static_cast<Connection*>(events[i].data.ptr),
                events[i].events);
      }
    }
    for (Connection* connection : std::exchange(unfinished_, {})) {
      OnEvent(*connection, EPOLLIN);
    }
    if (Clock::now() >= next_sweep_) Sweep();
    closed_.clear();
  }
}

void GuardedServer::Reactor::TakeQueued() {
  eventfd_t count;
  eventfd_read(wakeup_, &count);
  // Before the queues are taken: what is queued later wakes again.
  woken_ = false;
  std::vector<Accepted> accepted;
  std::vector<Connection*> returned;
  std::vector<Connection*> stirred;
  {
    MutexLock lock(mu_);
    accepted.swap(accepted_);
    returned.swap(returned_);
    stirred.swap(stirred_);
    for (Connection* connection : stirred) connection->stirred = false;
  }
  for (Accepted& a : accepted) Adopt(std::move(a));
  for (Connection* connection : returned) {
    if (connection->TakeBack()) {
      connection->unread = true;
      connection->may_have_ended = true;
    }
    Settle(*connection);
  }
  // Those that are the workers' yet are pumped when they come back.
  for (Connection* connection : stirred) {
    if (connection->IsReactors() && connection->phase == Phase::kStreaming) {
      Pump(*connection);
    }
  }
}

void GuardedServer::Reactor::Adopt(Accepted accepted) {
  std::shared_ptr<SSL_CTX> tls;
  if (options_.tls_context) tls = options_.tls_context();
  const bool unable = options_.tls_context && tls == nullptr;
  connections_.push_back(std::make_unique<Connection>(
      accepted.fd, std::move(tls), std::move(accepted.remote_address),
      accepted.verdict, options_.max_body_bytes));
  Connection& connection = *connections_.back();
  connection.index = connections_.size() - 1;
  if (unable) return Destroy(connection);
  if (connection.transport.secure()) {
    connection.phase = Phase::kHandshaking;
    connection.deadline = After(options_.handshake_timeout);
  } else {
    connection.deadline = After(options_.idle_timeout);
  }
  connection.parser.request().remote_address = connection.remote_address;
  // Watched for everything at once and for good; edges cost nothing while
  // nothing happens.
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.ptr = &connection}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, accepted.fd, &event) != 0) {
    return Destroy(connection);
  }
  Settle(connection);
}

void GuardedServer::Reactor::OnEvent(Connection& connection, uint32_t events) {
  if (!connection.TakeForEvent() || connection.phase == Phase::kBroken) return;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    connection.may_have_ended = true;
  }
  if (connection.phase == Phase::kHandshaking && events == EPOLLOUT &&
      !connection.transport.heard()) {
    return;  // The client has the first word.
  }
  connection.unread = true;
  if (connection.phase == Phase::kWriting ||
      connection.phase == Phase::kStreaming ||
      connection.phase == Phase::kHandshaking) {
    Settle(connection);
  } else {
    Read(connection);
  }
}

void GuardedServer::Reactor::Sweep() {
  const Clock::time_point now = Clock::now();
  next_sweep_ = now + kTick;
  const bool crowded =
      limits_.open() >= options_.max_connections - options_.max_connections / 8;
  // Backwards, because Destroy moves the last one into the gap.
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection& connection = *connections_[i];
    if (!connection.IsReactors()) continue;
    if (connection.deadline <= now ||
        (crowded && IsInTheWay(connection, now))) {
      OnDeadline(connection);
    }
  }
}

void GuardedServer::Reactor::OnDeadline(Connection& connection) {
  if (connection.phase == Phase::kReading) {
    Refuse(connection, {RefusalReason::kTimeout,
                        "The request took too long to arrive; send it again."});
  } else {
    if (connection.phase == Phase::kHandshaking) {
      NoteFailedHandshake(connection);
    }
    Destroy(connection);
  }
}

void GuardedServer::Reactor::StartHandshake(Connection& connection) {
  connection.unread = false;
  connection.GiveToWorkers();
  {
    MutexLock lock(handshakes_mu_);
    handshakes_.Push(AddressKey(connection.remote_address), &connection);
    if (handshaking_workers_ >= std::max<size_t>(1, options_.workers / 2)) {
      return;
    }
    ++handshaking_workers_;
  }
  workers_->Submit([this] { TakeHandshake(); });
}

void GuardedServer::Reactor::Read(Connection& connection) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const auto [state, size] = connection.transport.Read(buffer_);
    if (state == Transport::State::kWouldBlock) {
      connection.unread = connection.may_have_ended = false;
      return;
    }
    // The client ended before its request was complete, or after the last one.
    if (state != Transport::State::kDone) {
      if (connection.phase == Phase::kReading) {
        handler_.OnRefused({RefusalReason::kAborted, ""},
                           connection.parser.request());
      }
      return Destroy(connection);
    }
    const bool last =
        connection.transport.drained() && !connection.may_have_ended;
    connection.unread = !last;
    if (connection.phase == Phase::kLingering ||
        connection.phase == Phase::kStreaming) {
      connection.dropped += size;
      if (connection.dropped > kMaxDropped) return Destroy(connection);
    } else if (size > 0 && !Consume(connection, {buffer_.data(), size})) {
      return;
    }
    if (last) return;
  }
  unfinished_.push_back(&connection);
}

// True if the request needs more bytes; otherwise all is done, and the
// connection may be the workers'.
bool GuardedServer::Reactor::Consume(Connection& connection,
                                     std::string_view data) {
  if (connection.phase == Phase::kIdle) BeginRequest(connection);
  RequestParser& parser = connection.parser;
  const bool had_head = parser.head_complete();
  data.remove_prefix(parser.Feed(data));
  if (parser.refusal()) {
    Refuse(connection, *parser.refusal());
    return false;
  }
  if (!had_head && parser.head_complete() && !Admit(connection)) return false;
  connection.leftover = data;
  if (!Charge(connection)) {
    Refuse(connection, {RefusalReason::kTooMuchBuffered,
                        "The server is overloaded; try again later."});
    return false;
  }
  if (!parser.complete()) return true;
  Dispatch(connection);
  return false;
}

void GuardedServer::Reactor::BeginRequest(Connection& connection) {
  connection.phase = Phase::kReading;
  connection.deadline = After(options_.request_timeout);
  connection.parser.request().remote_address = connection.remote_address;
  connection.parser.request().started_at = Clock::now();
  // Those that draining refuses are not waited for: there may be no end of
  // them.
  connection.refused_by_drain = draining_;
  connection.counted = !connection.refused_by_drain;
  if (connection.counted) ++counted_;
}

// The head is complete: false if the request was answered.
bool GuardedServer::Reactor::Admit(Connection& connection) {
  const RequestParser& parser = connection.parser;
  if (connection.refused_by_drain) {
    Refuse(connection, {RefusalReason::kDraining,
                        "The server is shutting down; try again later."});
    return false;
  }
  if (std::optional<HttpResponse> response =
          handler_.Screen(parser.request())) {
    // Its body is not going to be read.
    connection.close = true;
    Answer(connection, *response);
    return false;
  }
  if (parser.expects_continue() && parser.request().body.empty() &&
      !parser.complete()) {
    // A client that cannot take 25 bytes now will not send the body in time
    // either, and what was begun of them could not be followed by an answer.
    if (connection.transport.Write(kContinue).size < kContinue.size()) {
      Destroy(connection);
      return false;
    }
  }
  return true;
}

bool GuardedServer::Reactor::Charge(Connection& connection) {
  const size_t held =
      connection.parser.memory() + connection.leftover.capacity();
  const size_t growth = held - std::min(held, connection.charged);
  connection.charged += growth;
  return buffered_.fetch_add(growth) + growth <= options_.max_buffered_bytes;
}

void GuardedServer::Reactor::Dispatch(Connection& connection) {
  if (requests_.load() >= options_.max_requests) {
    return Refuse(connection, {RefusalReason::kTooManyRequests,
                               "The server is overloaded; try again later."});
  }
  ++requests_;
  connection.of_use = true;
  connection.phase = Phase::kServing;
  connection.completed_at = Clock::now();
  connection.GiveToWorkers();
  workers_->Submit([this, &connection] { Serve(connection); });
}

void GuardedServer::Reactor::Refuse(Connection& connection,
                                    const Refusal& refusal) {
  handler_.OnRefused(refusal, connection.parser.request());
  Answer(connection, ResponseTo(refusal));
}

void GuardedServer::Reactor::Answer(Connection& connection,
                                    const HttpResponse& response) {
  connection.head_only = connection.parser.request().method() == "HEAD";
  Send(connection, response);
  Settle(connection);
}

// Goes on with a connection after an answer.
void GuardedServer::Reactor::Settle(Connection& connection) {
  if (connection.phase == Phase::kWriting) Flush(connection);
  switch (connection.phase) {
    case Phase::kHandshaking:
      if (connection.unread) StartHandshake(connection);
      return;
    case Phase::kBroken:
      return Destroy(connection);
    case Phase::kLingering:
      return Read(connection);
    case Phase::kIdle: {
      if (connection.verdict != ConnectionLimits::Verdict::kAdmitted) {
        return Refuse(connection, RefusalOf(connection.verdict));
      }
      const std::string data = std::exchange(connection.leftover, {});
      if (!data.empty() && !Consume(connection, data)) return;
      if (connection.unread) Read(connection);
      return;
    }
    case Phase::kStreaming:
      Pump(connection);
      if (connection.phase != Phase::kBroken && connection.unread) {
        Read(connection);
      }
      return;
    case Phase::kWriting:
    case Phase::kReading:
    case Phase::kServing:
      return;
  }
}

// Sends what a stream has, as far as the client takes it.
void GuardedServer::Reactor::Pump(Connection& connection) {
  HttpStream& stream = *connection.stream;
  while (true) {
    if (stream.cut()) return Destroy(connection);
    switch (WriteOutput(connection)) {
      case Transport::State::kDone:
        break;
      case Transport::State::kWouldBlock:
        return;
      default:
        return Destroy(connection);
    }
    connection.output = {};
    connection.sent = 0;
    if (std::exchange(connection.sends_part, false)) stream.NoteWritten();
    connection.deadline = After(options_.stall_timeout);
    if (auto part = stream.TakePart()) {
      connection.sends_part = true;
      connection.output =
          connection.chunked
              ? absl::StrCat(absl::Hex(part->size()), "\r\n", *part, "\r\n")
              : *std::move(part);
    } else if (!stream.ended()) {
      connection.deadline = Clock::time_point::max();
      return;
    } else if (connection.chunked && !connection.end_told) {
      connection.end_told = true;
      connection.output = "0\r\n\r\n";
    } else {
      LetGoOfStream(connection);
      return CloseInOrder(connection);
    }
  }
}

// From here on nothing stirs the connection.
void GuardedServer::Reactor::LetGoOfStream(Connection& connection) {
  connection.stream = nullptr;
  MutexLock lock(mu_);
  std::erase(stirred_, &connection);
}

void GuardedServer::Reactor::Destroy(Connection& connection) {
  EndRequest(connection);
  connection.phase = Phase::kBroken;
  if (connection.stream != nullptr) LetGoOfStream(connection);
  limits_.Leave(AddressKey(connection.remote_address), connection.verdict);
  connection.transport.Close();
  std::erase(unfinished_, &connection);
  std::unique_ptr<Connection>& place = connections_[connection.index];
  closed_.push_back(std::move(place));
  if (&place != &connections_.back()) {
    place = std::move(connections_.back());
    place->index = connection.index;
  }
  connections_.pop_back();
}

// One, and then again behind the requests that have come meanwhile.
void GuardedServer::Reactor::TakeHandshake() {
  Connection* connection;
  {
    MutexLock lock(handshakes_mu_);
    if (handshakes_.empty()) {
      --handshaking_workers_;
      return;
    }
    connection = handshakes_.Pop();
  }
  Handshake(*connection);
  worker_door_->Submit([this] { TakeHandshake(); });
}

void GuardedServer::Reactor::Handshake(Connection& connection) {
  // One that waited here beyond its time is not worth its computing any more.
  const bool late = stopping_ || connection.deadline <= Clock::now();
  const Transport::State state =
      late ? Transport::State::kBroken : connection.transport.Handshake();
  if (state == Transport::State::kWouldBlock) {
    if (connection.GiveBack()) return;
    return ReturnToReactor(connection);
  }
  if (state == Transport::State::kDone) {
    connection.phase = Phase::kIdle;
    connection.deadline = After(options_.idle_timeout);
    connection.unread =
        !connection.transport.drained() || connection.may_have_ended;
    const bool waits_for_event =
        connection.verdict == ConnectionLimits::Verdict::kAdmitted &&
        !connection.unread;
    if (waits_for_event && connection.GiveBack()) return;
  } else {
    connection.phase = Phase::kBroken;
    NoteFailedHandshake(connection);
  }
  ReturnToReactor(connection);
}

void GuardedServer::Reactor::ReturnToReactor(Connection& connection) {
  {
    MutexLock lock(mu_);
    returned_.push_back(&connection);
  }
  Wake();
}

void GuardedServer::Reactor::Serve(Connection& connection) {
  connection.close = !connection.parser.keep_alive();
  connection.head_only = connection.parser.request().method() == "HEAD";
  connection.chunked = connection.parser.http_1_1();
  HttpRequest request = connection.parser.TakeRequest();
  request.completed_at = connection.completed_at;
  handler_.Handle(
      std::move(request),
      HttpResponder([this, &connection,
                     door = worker_door_](HttpResponder::MakeResponse make) {
        door->Submit([this, &connection, make = std::move(make)]() mutable {
          Reply(connection, make());
        });
      }));
}

void GuardedServer::Reactor::Reply(Connection& connection,
                                   HttpResponse response) {
  --requests_;
  if (response.stream != nullptr) {
    return BeginStream(connection, std::move(response));
  }
  Send(connection, response);
  // In the ordinary case nothing is left to do before the next request, whose
  // coming is an event.
  const bool waits_for_event = connection.phase == Phase::kIdle &&
                               connection.leftover.empty() &&
                               !connection.unread;
  if (waits_for_event && connection.GiveBack()) return;
  ReturnToReactor(connection);
}

void GuardedServer::Reactor::BeginStream(Connection& connection,
                                         HttpResponse response) {
  EndRequest(connection);
  connection.leftover = {};
  connection.output = SerializeStreamHead(response, connection.chunked);
  connection.sent = 0;
  // The only one: nothing may stir the connection once that is gone.
  connection.stream = std::move(response.stream);
  connection.phase = Phase::kStreaming;
  connection.deadline = After(options_.stall_timeout);
  // Whatever came since the request was read.
  connection.unread = connection.may_have_ended = true;
  // Else the system would try for a quarter of an hour to reach a client that
  // has vanished without a word.
  const auto patience = static_cast<unsigned int>(
      absl::ToInt64Milliseconds(options_.stall_timeout));
  setsockopt(connection.transport.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT,
             &patience, sizeof(patience));
  setsockopt(connection.transport.fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT,
             &kMaxUnsent, sizeof(kMaxUnsent));
  connection.stream->Attach([this, &connection] { Stir(connection); });
  ReturnToReactor(connection);
}

void GuardedServer::Reactor::Stir(Connection& connection) {
  {
    MutexLock lock(mu_);
    if (std::exchange(connection.stirred, true)) return;
    stirred_.push_back(&connection);
  }
  Wake();
}

void GuardedServer::Reactor::Send(Connection& connection,
                                  const HttpResponse& response) {
  connection.close = connection.close || response.status >= 400 || draining_;
  connection.output =
      Serialize(response, connection.head_only, connection.close);
  connection.sent = 0;
  Flush(connection);
}

// kDone once all of it is with the system; each bit that it takes extends a
// stream's time.
Transport::State GuardedServer::Reactor::WriteOutput(Connection& connection) {
  while (connection.sent < connection.output.size()) {
    const auto [state, size] = connection.transport.Write(
        std::string_view(connection.output).substr(connection.sent));
    if (state != Transport::State::kDone) return state;
    connection.sent += size;
    if (connection.phase == Phase::kStreaming) {
      connection.deadline = After(options_.stall_timeout);
    }
  }
  return Transport::State::kDone;
}

void GuardedServer::Reactor::Flush(Connection& connection) {
  switch (WriteOutput(connection)) {
    case Transport::State::kDone:
      break;
    case Transport::State::kWouldBlock:
      if (connection.phase != Phase::kWriting) {
        connection.deadline = After(options_.write_timeout);
      }
      connection.phase = Phase::kWriting;
      return;
    default:
      connection.phase = Phase::kBroken;
      return;
  }
  connection.output = {};
  EndRequest(connection);
  if (connection.close) {
    CloseInOrder(connection);
  } else {
    connection.phase = Phase::kIdle;
    connection.deadline = After(options_.idle_timeout);
  }
}

void GuardedServer::Reactor::CloseInOrder(Connection& connection) {
  // What it holds is of no use any more, and no longer in the budget.
  connection.parser = RequestParser(0);
  connection.leftover = {};
  connection.transport.EndWriting();
  connection.phase = Phase::kLingering;
  connection.deadline = After(options_.linger_timeout);
}

void GuardedServer::Reactor::EndRequest(Connection& connection) {
  buffered_ -= std::exchange(connection.charged, 0);
  if (!std::exchange(connection.counted, false)) return;
  if (counted_.fetch_sub(1) == 1 && draining_) {
    MutexLock lock(mu_);
    idle_.SignalAll();
  }
}

// One that came and went without a word, as some probes do, is no failure.
void GuardedServer::Reactor::NoteFailedHandshake(const Connection& connection) {
  if (!connection.transport.heard()) return;
  HttpRequest unread;
  unread.remote_address = connection.remote_address;
  handler_.OnRefused({RefusalReason::kHandshakeFailed, ""}, unread);
}

HttpResponse GuardedServer::Reactor::ResponseTo(const Refusal& refusal) const {
  HttpResponse response =
      ProblemResponse(StatusOf(refusal.reason), refusal.detail);
  if (response.status == 503) {
    response.headers.emplace_back(
        "Retry-After",
        absl::StrCat(absl::ToInt64Seconds(options_.retry_after)));
  }
  return response;
}

GuardedServer::GuardedServer(GuardOptions options, HttpHandler& handler)
    : reactor_(std::make_unique<Reactor>(std::move(options), handler)) {}

GuardedServer::~GuardedServer() = default;

absl::Status GuardedServer::Listen(const std::string& host, int port) {
  return reactor_->Listen(host, port);
}

int GuardedServer::port() const { return reactor_->port(); }

void GuardedServer::BeginDrain() { reactor_->BeginDrain(); }

bool GuardedServer::WaitUntilIdle(absl::Duration timeout) {
  return reactor_->WaitUntilIdle(timeout);
}

void GuardedServer::Stop() { reactor_->Stop(); }

size_t GuardedServer::connections() const { return reactor_->connections(); }

size_t GuardedServer::buffered_bytes() const {
  return reactor_->buffered_bytes();
}

}  // namespace waggle
