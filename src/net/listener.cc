#include "net/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "httplib.h"

namespace waggle {
namespace {

// cpp-httplib's own is 5, which a burst of new connections overflows.
constexpr int kBacklog = 1024;

// Each job is the hand-over of an accepted connection: short enough for the
// accepting thread itself.
class InlineQueue final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> job) override { job(); }
  void shutdown() override {}
};

absl::Status BindError(const std::string& host, int port, int error) {
  const std::string what =
      absl::StrCat("cannot listen on ", host, " port ", port, ": ");
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(
          absl::StrCat(what,
                       "the address is in use; stop the other process or "
                       "choose another port"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "not permitted; choose a port from 1024 up"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat(what, "this machine does not have the address"));
    case EAFNOSUPPORT:
      return absl::InvalidArgumentError(
          absl::StrCat(what,
                       "this machine does not speak its protocol; for all IPv4 "
                       "interfaces use 0.0.0.0"));
    case 0:
      return absl::InvalidArgumentError(absl::StrCat(
          what, "not an address; use one like 127.0.0.1, 0.0.0.0 or ::1"));
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(what, std::strerror(error)));
  }
}

}  // namespace

class Listener::Socket final : public httplib::Server {
 public:
  explicit Socket(OnAccept on_accept) : on_accept_(std::move(on_accept)) {
    new_task_queue = [] { return new InlineQueue; };
    // Not SO_REUSEPORT, cpp-httplib's default: with it a second process could
    // take a share of the connections unnoticed.
    set_socket_options([](socket_t fd) {
      const int yes = 1;
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    set_tcp_nodelay(true);
  }

  void LengthenQueue() { ::listen(svr_sock_, kBacklog); }
  // Fails accept() on the thread that listens; it closes the socket itself
  // then, so that no other thread closes what it waits on.
  void End() { ::shutdown(svr_sock_, SHUT_RDWR); }
  void Forget() { svr_sock_ = INVALID_SOCKET; }

 private:
  bool process_and_close_socket(socket_t fd) override {
    on_accept_(fd);
    return true;
  }

  const OnAccept on_accept_;
};

Listener::Listener(OnAccept on_accept, OnFailure on_failure)
    : on_failure_(std::move(on_failure)),
      socket_(std::make_unique<Socket>(std::move(on_accept))) {}

Listener::~Listener() { Stop(); }

absl::Status Listener::Listen(const std::string& host, int port) {
  errno = 0;
  if (port == 0) {
    port = socket_->bind_to_any_port(host);
    if (port < 0) return BindError(host, 0, errno);
  } else if (!socket_->bind_to_port(host, port)) {
    return BindError(host, port, errno);
  }
  port_ = port;
  socket_->LengthenQueue();
  thread_ = std::thread([this] {
    socket_->listen_after_bind();
    if (!stopping_) on_failure_();
  });
  return absl::OkStatus();
}

void Listener::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  socket_->End();
  thread_.join();
  socket_->Forget();
}

std::string RemoteAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "";
  }
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
    } else {
      inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    }
  }
  return text;
}

}  // namespace waggle
