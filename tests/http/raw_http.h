// A client that sends exactly the bytes it is told to, for what client
// libraries hide or forbid. Every wait ends after kPatience with a failed test.
#ifndef WAGGLE_TESTS_HTTP_RAW_HTTP_H_
#define WAGGLE_TESTS_HTTP_RAW_HTTP_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace waggle::testing {

inline constexpr std::chrono::seconds kPatience(60);

// For conditions that nothing announces: polls, and fails after kPatience.
inline void WaitFor(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

struct RawResponse {
  // 0: the connection ended before a whole answer.
  int status = 0;
  std::string head;
  std::string body;

  // The value of a field, or "" without it.
  std::string Header(std::string_view name) const {
    for (absl::string_view line : absl::StrSplit(head, "\r\n")) {
      const std::pair<absl::string_view, absl::string_view> field =
          absl::StrSplit(line, absl::MaxSplits(": ", 1));
      if (absl::EqualsIgnoreCase(field.first, AsAbsl(name))) {
        return std::string(field.second);
      }
    }
    return "";
  }
};

class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    timeval patience{};
    patience.tv_sec = kPatience.count();
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address),
                         sizeof(address)) == 0;
    EXPECT_TRUE(connected_) << "cannot connect";
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        connected_(other.connected_),
        input_(std::move(other.input_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }

  // False once the server has closed or reset the connection.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(n);
    }
    return true;
  }

  // Ends this side; the server's answers can still be read.
  void HalfClose() { shutdown(fd_, SHUT_WR); }

  // Drops the connection without a word.
  void Reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(std::exchange(fd_, -1));
  }

  // The next answer; `to_head`: to a HEAD request, which has no body.
  RawResponse Read(bool to_head = false) {
    RawResponse response;
    size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return response;
    }
    response.head = input_.substr(0, end);
    input_.erase(0, end + 4);
    const int status = std::atoi(response.head.substr(9, 3).c_str());
    const std::string length = response.Header("Content-Length");
    const size_t size = to_head || length.empty()
                            ? 0
                            : std::strtoul(length.c_str(), nullptr, 10);
    while (input_.size() < size) {
      if (!Fill()) return response;
    }
    response.body = input_.substr(0, size);
    input_.erase(0, size);
    response.status = status;
    return response;
  }

  // What comes until the server ends the connection.
  std::string ReadToEnd() {
    while (Fill()) {
    }
    return std::exchange(input_, {});
  }

  // Whether the server ended the connection, with nothing more to read.
  bool AtEnd() { return input_.empty() && !Fill(); }

  // The end that was read was a reset.
  bool was_reset() const { return was_reset_; }

  // Whether something, or the end, can be read now.
  bool Readable() {
    if (!input_.empty()) return true;
    pollfd p{fd_, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
  }

 private:
  // False at the end, or after a reset.
  bool Fill() {
    char buffer[16 * 1024];
    while (true) {
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n < 0 && errno == EINTR) continue;
      EXPECT_FALSE(n < 0 && errno == EAGAIN) << "no answer came";
      was_reset_ = n < 0 && errno == ECONNRESET;
      if (n <= 0) return false;
      input_.append(buffer, n);
      return true;
    }
  }

  int fd_;
  bool connected_ = false;
  bool was_reset_ = false;
  std::string input_;
};

// A well-formed POST.
inline std::string PostRequest(std::string_view path, std::string_view body,
                               std::string_view more_fields = "") {
  return absl::StrCat(
      "POST ", AsAbsl(path),
      " HTTP/1.1\r\nHost: localhost\r\nContent-Length: ", body.size(), "\r\n",
      AsAbsl(more_fields), "\r\n", AsAbsl(body));
}

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_HTTP_RAW_HTTP_H_
