#include "http/transport.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "openssl/bio.h"
#include "openssl/err.h"

namespace waggle {
namespace {

// OpenSSL's own types.
// NOLINTNEXTLINE(google-runtime-int)
long ControlSocket(BIO* bio, int command, long number, void* pointer) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace

// Not OpenSSL's own, which writes with write(): a reset would raise SIGPIPE.
BIO_METHOD* Transport::SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "waggle");
    BIO_meth_set_read(made, ReadSocket);
    BIO_meth_set_write(made, WriteSocket);
    BIO_meth_set_ctrl(made, ControlSocket);
    return made;
  }();
  return method;
}

int Transport::ReadSocket(BIO* bio, char* data, int size) {
  auto& self = *static_cast<Transport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t n = self.Receive(data, static_cast<size_t>(size));
  if (n < 0 && errno == EAGAIN) {
    self.would_block_ = true;
    BIO_set_retry_read(bio);
  }
  return static_cast<int>(n);
}

int Transport::WriteSocket(BIO* bio, const char* data, int size) {
  auto& self = *static_cast<Transport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do {
    n = send(self.fd_, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) {
    self.would_block_ = true;
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(n);
}

ssize_t Transport::Receive(char* data, size_t size) {
  ssize_t n;
  do {
    n = recv(fd_, data, size, 0);
  } while (n < 0 && errno == EINTR);
  socket_drained_ = n < 0 ? errno == EAGAIN : static_cast<size_t>(n) < size;
  heard_ = heard_ || n > 0;
  return n;
}

bool Transport::Begin() {
  ssl_.reset(SSL_new(context_.get()));
  BIO* bio = BIO_new(SocketMethod());
  if (ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    ERR_clear_error();
    return false;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  SSL_set_options(ssl_.get(), SSL_OP_NO_RENEGOTIATION);
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  // Else each record takes two system calls.
  SSL_set_read_ahead(ssl_.get(), 1);
  return true;
}

Transport::State Transport::Judge(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      // Otherwise a record came that carries no data, and there may be more.
      return would_block_ ? State::kWouldBlock : State::kDone;
    case SSL_ERROR_ZERO_RETURN:
      return State::kEnded;
    default:
      failed_ = true;
      return State::kBroken;
  }
}

Transport::State Transport::Handshake() {
  if (failed_ || (ssl_ == nullptr && !Begin())) return State::kBroken;
  ERR_clear_error();
  would_block_ = false;
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    established_ = true;
    // From here on a read returns after each record, also after one without
    // data: no flood of those can hold the reading thread.
    SSL_clear_mode(ssl_.get(), SSL_MODE_AUTO_RETRY);
    return State::kDone;
  }
  const State state = Judge(result);
  return state == State::kWouldBlock ? state : State::kBroken;
}

Transport::Outcome Transport::Read(std::span<char> buffer) {
  if (ssl_ == nullptr) {
    const ssize_t n = Receive(buffer.data(), buffer.size());
    if (n > 0) return {State::kDone, static_cast<size_t>(n)};
    if (n == 0) return {State::kEnded};
    return {errno == EAGAIN ? State::kWouldBlock : State::kBroken};
  }
  if (failed_) return {State::kBroken};
  ERR_clear_error();
  would_block_ = false;
  size_t size = 0;
  const int result =
      SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  if (result == 1) return {State::kDone, size};
  return {Judge(result)};
}

Transport::Outcome Transport::Write(std::string_view bytes) {
  if (ssl_ == nullptr) {
    ssize_t n;
    do {
      n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) return {State::kDone, static_cast<size_t>(n)};
    return {errno == EAGAIN ? State::kWouldBlock : State::kBroken};
  }
  if (failed_) return {State::kBroken};
  ERR_clear_error();
  would_block_ = false;
  size_t size = 0;
  const int result =
      SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size);
  if (result == 1) return {State::kDone, size};
  const State state = Judge(result);
  return {state == State::kWouldBlock ? state : State::kBroken};
}

bool Transport::drained() const {
  return socket_drained_ &&
         (ssl_ == nullptr || SSL_has_pending(ssl_.get()) == 0);
}

void Transport::TakeLeave() {
  if (!established_ || failed_ || ssl_ == nullptr) return;
  ERR_clear_error();
  // One that would block is given up: the peer does not read.
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void Transport::EndWriting() {
  TakeLeave();
  ssl_.reset();
  shutdown(fd_, SHUT_WR);
}

void Transport::Close() {
  if (fd_ < 0) return;
  TakeLeave();
  ssl_.reset();
  close(std::exchange(fd_, -1));
}

}  // namespace waggle
