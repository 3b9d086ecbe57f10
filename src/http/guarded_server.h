// An HTTP/1 server, plain or over TLS, that stands on the open internet:
// whatever clients do, it holds a bounded amount of memory, answers within
// bounded time, and keeps serving those who behave.
//
//   class Door : public HttpHandler { ... };
//   GuardedServer server(options, door);
//   WAGGLE_RETURN_IF_ERROR(server.Listen("0.0.0.0", 8080));
//   ...
//   server.BeginDrain();                    // 503 for what comes from now on
//   server.WaitUntilIdle(absl::Seconds(30));
//   server.Stop();
//
// How: one thread, the reactor, reads all connections without ever waiting for
// one of them, and RequestParser judges what they send. Only a request that is
// complete and well-formed goes to a small pool of workers, which call the
// handler; an answer may come later and from any thread, and a worker sends it.
// The steps of TLS handshakes are computed by the workers too.
// So a slow client holds a file descriptor and its own few bytes, never a
// thread. Bounds, each with its answer: see GuardOptions.
//
// Every answer from 400 up closes the connection, and so does HTTP/1.0. Closing
// means: end our side, then read and drop for a while what the client still
// sends, since a reset would destroy the answer on its way.
//
// An answer may also come in parts, for as long as there are any (HttpStream).
// The reactor sends these, as fast as the client takes them; what the client
// still sends is read and dropped, and its end ends the stream. Such a request
// counts as answered once it has begun, and the connection closes after it.
//
// TLS changes no bound: what comes out of it is judged as what comes plainly.
// Whoever does not finish the handshake in time, or speaks something else, is
// closed without an answer. A connection keeps the context that it began with,
// so a new certificate is shown to new connections and breaks none.
#ifndef WAGGLE_HTTP_GUARDED_SERVER_H_
#define WAGGLE_HTTP_GUARDED_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "http/http_message.h"
#include "openssl/types.h"

namespace waggle {

struct GuardOptions {
  // The largest body, in bytes; a larger one is answered 413.
  size_t max_body_bytes = 1 << 20;
  // The next connection is answered 503. From seven eighths of it on, those
  // that have not brought a request within a second of the accept are closed.
  size_t max_connections = 4096;
  // Of one client, as AddressKey() tells them apart; its next one is answered
  // 503.
  size_t max_connections_per_address = 2048;
  // Requests handed to the handler and not answered; the next is answered 503.
  size_t max_requests = 4096;
  // For requests that are not answered yet, over all connections, in bytes;
  // the one that grows beyond it is answered 503.
  size_t max_buffered_bytes = 64 << 20;
  // Threads that call the handler, send its answers and, up to half of them,
  // compute handshakes, for which addresses take turns.
  size_t workers = 4;
  // Asked once for each new connection, which is closed if there is none; null:
  // plain HTTP. On the reactor: must not block.
  std::function<std::shared_ptr<SSL_CTX>()> tls_context;
  // From the accept to the end of the TLS handshake; then it is closed.
  absl::Duration handshake_timeout = absl::Seconds(5);
  // From a request's first byte to its last; then 408.
  absl::Duration request_timeout = absl::Seconds(10);
  // A connection that is silent between requests for so long is closed.
  absl::Duration idle_timeout = absl::Seconds(60);
  // For the client to take an answer; then the connection is closed.
  absl::Duration write_timeout = absl::Seconds(10);
  // For the client of a stream to take more of it, once the system has no room
  // for it; then the connection is closed.
  absl::Duration stall_timeout = absl::Seconds(60);
  // For the client to end its side after our last answer.
  absl::Duration linger_timeout = absl::Seconds(2);
  // What 503 names as Retry-After, in whole seconds.
  absl::Duration retry_after = absl::Seconds(2);
  // Called once if the listener ends by itself, which only a fault of the
  // system brings about: the process cannot do its work then. On a thread of
  // the server: must not destroy it.
  std::function<void()> on_listener_failed = [] {};
};

// The way to answer one request: call it once, from any thread, now or later.
// Destroyed without a call it answers 500. After GuardedServer::Stop it does
// nothing.
class HttpResponder {
 public:
  // Runs on a worker, so that the caller need not do the work of making it.
  using MakeResponse = absl::AnyInvocable<HttpResponse()>;
  // Takes the answer's maker to a worker.
  using Deliver = absl::AnyInvocable<void(MakeResponse)>;

  explicit HttpResponder(Deliver deliver) : deliver_(std::move(deliver)) {}
  HttpResponder(HttpResponder&& other) noexcept
      : deliver_(std::exchange(other.deliver_, nullptr)) {}
  HttpResponder& operator=(HttpResponder&&) = delete;
  ~HttpResponder();

  // Never blocks.
  void operator()(MakeResponse make);

 private:
  Deliver deliver_;
};

// Implemented by each door.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Looks at a request whose head was read and whose body may not be; what it
  // returns is the answer and ends it there. On the reactor: must not block.
  virtual std::optional<HttpResponse> Screen(const HttpRequest& request) = 0;

  // Serves a complete request. On a worker; several at once.
  virtual void Handle(HttpRequest request, HttpResponder respond) = 0;

  // Is told that the guard refused a request, of which as much is there as was
  // read. On any thread of the server, several at once: must not block.
  virtual void OnRefused(const Refusal& refusal,
                         const HttpRequest& request) = 0;
};

// Thread-safe, except that Listen comes first, once, and BeginDrain,
// WaitUntilIdle and Stop come from one thread.
class GuardedServer {
 public:
  // `handler` must outlive the server.
  GuardedServer(GuardOptions options, HttpHandler& handler);
  // Stops.
  ~GuardedServer();

  // Binds, and starts to serve. Port 0 lets the system choose. Errors say which
  // address and what to do.
  absl::Status Listen(const std::string& host, int port);
  int port() const;

  // From now on each request that begins is answered 503 with Retry-After; one
  // that has begun is read to its end and answered.
  void BeginDrain();
  // After BeginDrain: waits until every request is answered. False if `timeout`
  // ran out first.
  bool WaitUntilIdle(absl::Duration timeout);

  // Closes all connections and ends the threads; answers that come later are
  // dropped. Idempotent.
  void Stop();

  // Open connections.
  size_t connections() const;
  // Memory held for requests that are not answered, in bytes.
  size_t buffered_bytes() const;

 private:
  class Reactor;
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_GUARDED_SERVER_H_
