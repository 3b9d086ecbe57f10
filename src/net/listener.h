// The listening socket of a door, which is the part of cpp-httplib that all of
// them stand on: it binds, listens and accepts. What clients send never reaches
// it: its readers of this version block a thread per connection and are open to
// slow clients, endless headers and request smuggling, so GuardedServer, and
// gRPC, read in their place. Running out of descriptors makes it wait.
//
//   Listener listener([](int fd) { ... }, [] { /* it failed */ });
//   WAGGLE_RETURN_IF_ERROR(listener.Listen("0.0.0.0", 8080));
#ifndef WAGGLE_NET_LISTENER_H_
#define WAGGLE_NET_LISTENER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"

namespace waggle {

class Listener {
 public:
  // Gets each accepted connection, on the listener's thread; owns it from then.
  // It blocks, and is inherited by programs that are started.
  using OnAccept = std::function<void(int fd)>;
  // Listening ended without Stop; the listener's thread is about to end.
  using OnFailure = std::function<void()>;

  Listener(OnAccept on_accept, OnFailure on_failure);
  ~Listener();

  // Binds to a numeric address or a name, and starts the thread. Port 0 lets
  // the system choose. Errors say which address and what to do. Call once.
  absl::Status Listen(const std::string& host, int port);
  // The bound port, once Listen was OK.
  int port() const { return port_; }

  // Ends the thread; no OnAccept after it. Idempotent.
  void Stop();

 private:
  class Socket;

  const OnFailure on_failure_;
  const std::unique_ptr<Socket> socket_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// The IP address at the other end of a connection; empty if it is gone. IPv4
// looks the same on a socket of both families.
std::string RemoteAddress(int fd);

}  // namespace waggle

#endif  // WAGGLE_NET_LISTENER_H_
