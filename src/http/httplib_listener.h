// The part of cpp-httplib that the doors stand on: it binds, listens and
// accepts. What clients send never reaches it: its readers of this
// version block a thread per connection and are open to slow clients, endless
// headers and request smuggling, so GuardedServer reads in their place.
#ifndef WAGGLE_HTTP_HTTPLIB_LISTENER_H_
#define WAGGLE_HTTP_HTTPLIB_LISTENER_H_

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "httplib.h"

namespace waggle {

class HttplibListener final : private httplib::Server {
 public:
  // Gets each accepted connection, on the listener's thread; owns it from then.
  using OnAccept = std::function<void(int fd)>;
  // Listening ended without Stop; the listener's thread is about to end.
  using OnFailure = std::function<void()>;

  HttplibListener(OnAccept on_accept, OnFailure on_failure);
  ~HttplibListener() override;

  // Binds to a numeric address or a name, and starts the thread. Port 0 lets
  // the system choose. Errors say which address and what to do. Call once.
  absl::Status Listen(const std::string& host, int port);
  // The bound port, once Listen was OK.
  int port() const { return port_; }

  // Ends the thread; no OnAccept after it. Idempotent.
  void Stop();

 private:
  bool process_and_close_socket(socket_t fd) override;

  const OnAccept on_accept_;
  const OnFailure on_failure_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_HTTPLIB_LISTENER_H_
