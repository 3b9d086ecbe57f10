// A client that sends exactly the bytes it is told to, plainly or over TLS, for
// what client libraries hide or forbid. Every wait ends after kPatience with a
// failed test.
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
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/ssl.h"
#include "tests/fakes/wait_for.h"

namespace waggle::testing {

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
  struct Options {
    // Null: plain.
    std::shared_ptr<SSL_CTX> tls = nullptr;
    // False: the handshake waits for Handshake().
    bool handshake = true;
    // One of this machine's, such as 127.0.0.2.
    const char* source = nullptr;
  };

  explicit RawClient(int port) : RawClient(port, Options()) {}
  RawClient(int port, const Options& options)
      : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    if (options.source != nullptr) {
      address.sin_family = AF_INET;
      inet_pton(AF_INET, options.source, &address.sin_addr);
      EXPECT_EQ(
          bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
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
    if (options.tls == nullptr) return;
    ssl_.reset(SSL_new(options.tls.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
    if (options.handshake) {
      EXPECT_TRUE(Handshake());
    }
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        connected_(other.connected_),
        was_reset_(other.was_reset_),
        took_leave_(other.took_leave_),
        ssl_(std::move(other.ssl_)),
        input_(std::move(other.input_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  SSL* ssl() const { return ssl_.get(); }

  // False if the server refused it.
  bool Handshake() {
    while (true) {
      const int result = SSL_do_handshake(ssl_.get());
      const int error = SSL_get_error(ssl_.get(), result);
      ERR_clear_error();
      if (!SendRaw(TakeOutput())) return false;
      if (result == 1) return true;
      if (error != SSL_ERROR_WANT_READ || !ReceiveRaw()) return false;
    }
  }

  // What TLS has to say now, for the test to send: the next flight of the
  // handshake, with `bytes` after it as soon as that is possible.
  std::string NextFlight(std::string_view bytes = "") {
    if (SSL_do_handshake(ssl_.get()) == 1 && !bytes.empty()) {
      SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    }
    ERR_clear_error();
    return TakeOutput();
  }

  // False once the server has closed or reset the connection.
  bool Send(std::string_view bytes) {
    if (ssl_ == nullptr) return SendRaw(bytes);
    if (!bytes.empty()) {
      SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
      ERR_clear_error();
    }
    return SendRaw(TakeOutput());
  }

  // Past TLS.
  bool SendRaw(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(n);
    }
    return true;
  }

  // Ends this side; the server's answers can still be read.
  void HalfClose() {
    if (ssl_ != nullptr) {
      SSL_shutdown(ssl_.get());
      SendRaw(TakeOutput());
    }
    shutdown(fd_, SHUT_WR);
  }

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

  // The next chunk of an answer whose head was read; "" if it was the last, or
  // the connection ended.
  std::string ReadChunk() {
    size_t end;
    while ((end = input_.find("\r\n")) == std::string::npos) {
      if (!Fill()) return "";
    }
    const size_t size = std::strtoul(input_.c_str(), nullptr, 16);
    const size_t begin = end + 2;
    while (input_.size() < begin + size + 2) {
      if (!Fill()) return "";
    }
    std::string chunk = input_.substr(begin, size);
    input_.erase(0, begin + size + 2);
    return chunk;
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
  // The server said in TLS that it was the end.
  bool took_leave() const { return took_leave_; }

  // Whether something, or the end, can be read now.
  bool Readable() {
    while (input_.empty()) {
      pollfd p{fd_, POLLIN, 0};
      if (poll(&p, 1, 0) != 1) return false;
      if (ssl_ == nullptr || !ReceiveRaw()) return true;
      if (!Decrypt()) return true;
    }
    return true;
  }

  // More bytes for TLS, which may be none of HTTP's. False at the end, or after
  // a reset.
  bool ReceiveRaw() {
    char buffer[16 * 1024];
    while (true) {
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n < 0 && errno == EINTR) continue;
      EXPECT_FALSE(n < 0 && errno == EAGAIN) << "no answer came";
      was_reset_ = n < 0 && errno == ECONNRESET;
      if (n <= 0) return false;
      if (ssl_ != nullptr) {
        BIO_write(SSL_get_rbio(ssl_.get()), buffer, static_cast<int>(n));
      } else {
        input_.append(buffer, n);
      }
      return true;
    }
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  // False at the end, or after a reset.
  bool Fill() {
    if (ssl_ == nullptr) return ReceiveRaw();
    const size_t before = input_.size();
    while (true) {
      const bool goes_on = Decrypt();
      if (input_.size() > before) return true;
      if (!goes_on || !ReceiveRaw()) return false;
    }
  }

  // Moves what TLS can make of its bytes to the input. False at its end.
  bool Decrypt() {
    char buffer[16 * 1024];
    while (true) {
      const int n = SSL_read(ssl_.get(), buffer, sizeof(buffer));
      const int error = SSL_get_error(ssl_.get(), n);
      ERR_clear_error();
      if (n > 0) {
        input_.append(buffer, n);
        continue;
      }
      took_leave_ = took_leave_ || error == SSL_ERROR_ZERO_RETURN;
      return error == SSL_ERROR_WANT_READ;
    }
  }

  std::string TakeOutput() {
    BIO* const output = SSL_get_wbio(ssl_.get());
    std::string bytes(BIO_ctrl_pending(output), '\0');
    if (!bytes.empty()) {
      BIO_read(output, bytes.data(), static_cast<int>(bytes.size()));
    }
    return bytes;
  }

  int fd_;
  bool connected_ = false;
  bool was_reset_ = false;
  bool took_leave_ = false;
  std::unique_ptr<SSL, Free> ssl_;
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
