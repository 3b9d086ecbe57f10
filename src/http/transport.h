// One accepted socket, read and written without waiting, plainly or over TLS.
//
//   Transport transport(fd, context);      // null context: plain
//   transport.Handshake();                 // until kDone
//   transport.Read(buffer); transport.Write(bytes);
//   transport.EndWriting();                // read on, and drop
//   transport.Close();
//
// After kWouldBlock an event of the socket is worth another try of the same
// call, whether the socket became readable or writable. A write that would
// block must be repeated with the same bytes.
//
// A peer's reset is a result like any other: no call raises SIGPIPE. OpenSSL's
// error queue of the calling thread is empty after each call.
//
// For one thread at a time.
#ifndef WAGGLE_HTTP_TRANSPORT_H_
#define WAGGLE_HTTP_TRANSPORT_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "openssl/ssl.h"

namespace waggle {

class Transport {
 public:
  enum class State {
    kDone,
    kWouldBlock,
    kEnded,   // the peer ended its side in good order
    kBroken,  // a reset, or not TLS
  };
  struct Outcome {
    State state;
    // Bytes read or written, with kDone. A read may be done without any.
    size_t size = 0;
  };

  // Owns `fd`, which must not block. What TLS needs is made by the first
  // Handshake(), so that a silent connection costs next to nothing.
  Transport(int fd, std::shared_ptr<SSL_CTX> context)
      : fd_(fd), context_(std::move(context)) {}
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport() { Close(); }

  int fd() const { return fd_; }
  bool secure() const { return context_ != nullptr; }

  // The next step of the server's part, with TLS; it may take a millisecond of
  // computing. Comes before everything else.
  State Handshake();

  Outcome Read(std::span<char> buffer);
  Outcome Write(std::string_view bytes);

  // The last read left nothing behind, here or in the socket, unless the peer
  // has ended since.
  bool drained() const;
  // The peer has sent something.
  bool heard() const { return heard_; }

  // Tells the peer that nothing more comes. What it still sends can be read, to
  // be dropped: it is not decrypted any more.
  void EndWriting();
  // Takes leave where TLS asks for it, and closes the socket. Idempotent.
  void Close();

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static BIO_METHOD* SocketMethod();
  static int ReadSocket(BIO* bio, char* data, int size);
  static int WriteSocket(BIO* bio, const char* data, int size);

  bool Begin();
  // recv() with what drained() and heard() need to know.
  ssize_t Receive(char* data, size_t size);
  void TakeLeave();
  State Judge(int result);

  int fd_;
  std::shared_ptr<SSL_CTX> context_;
  std::unique_ptr<SSL, Free> ssl_;
  bool established_ = false;
  // The session is beyond use; only SSL_free() may follow.
  bool failed_ = false;
  bool heard_ = false;
  bool socket_drained_ = false;
  bool would_block_ = false;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_TRANSPORT_H_
