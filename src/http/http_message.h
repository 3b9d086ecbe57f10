// What the HTTP doors and their handlers speak of: a complete request, an
// answer, and the reasons for which the guard refuses a request by itself.
#ifndef WAGGLE_HTTP_HTTP_MESSAGE_H_
#define WAGGLE_HTTP_HTTP_MESSAGE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"

namespace waggle {

class HttpStream;

// A request as RequestParser read it. The views that it gives point into it and
// die with it; they are bytes as the client sent them, nothing is decoded.
class HttpRequest {
 public:
  // Empty until the request line was read.
  std::string_view method() const { return View(method_); }
  // From the first "/", without the query.
  std::string_view path() const { return View(path_); }
  // What follows the first "?"; empty without one.
  std::string_view query() const { return View(query_); }
  // Whether all fields were read.
  bool head_complete() const { return head_complete_; }

  // The values of all fields of this name (any case), in their order.
  absl::InlinedVector<std::string_view, 2> HeaderValues(
      std::string_view name) const;

  std::string body;
  // The connection's peer, without its port.
  std::string remote_address;
  // When the first byte had come.
  std::chrono::steady_clock::time_point started_at;
  // When the last byte had come.
  std::chrono::steady_clock::time_point completed_at;

 private:
  friend class RequestParser;

  // A part of head_. Offsets, because a string's bytes may move with it.
  struct Span {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  struct Field {
    Span name;
    Span value;
  };

  std::string_view View(Span span) const {
    return std::string_view(head_).substr(span.offset, span.size);
  }

  std::string head_;
  Span method_;
  Span path_;
  Span query_;
  bool head_complete_ = false;
  absl::InlinedVector<Field, 12> fields_;
};

struct HttpResponse {
  int status = 200;
  // Of `body`; of no effect without one.
  std::string content_type;
  std::string body;
  // Other header fields. Content-Length, Transfer-Encoding and Connection are
  // the guard's.
  std::vector<std::pair<std::string, std::string>> headers;
  // If set, the body is what this gives, for as long as it does; a lease.
  std::shared_ptr<HttpStream> stream;
};

// An error as application/problem+json (RFC 9457). `detail` says what to do; to
// a client that nobody knows, it must not repeat what that sent.
// `members` are more of the object's, written as JSON, each after a comma.
HttpResponse ProblemResponse(int status, std::string_view detail,
                             std::string_view members = "");

// An answer as it goes over the wire (RFC 9112); `head_only` for the method
// HEAD. `close` tells the client that it is the connection's last.
std::string Serialize(const HttpResponse& response, bool head_only, bool close);

// The head of an answer that streams and is the connection's last; without
// `chunked` its end is the connection's.
std::string SerializeStreamHead(const HttpResponse& response, bool chunked);

// Why the guard answers a request without asking a handler.
enum class RefusalReason {
  kMalformed,           // 400
  kTimeout,             // 408
  kBodyTooLarge,        // 413
  kTargetTooLong,       // 414
  kEncodedContent,      // 415
  kUnknownExpectation,  // 417
  kHeaderTooLarge,      // 431
  kTooManyConnections,  // 503, as the rest up to kDraining
  kTooManyFromAddress,
  kTooMuchBuffered,
  kTooManyRequests,
  kDraining,
  kUnsupportedVersion,  // 505
  kHandshakeFailed,     // no answer: the client got no TLS, so no request came
  kAborted,             // no answer: the client closed before the end
};

struct Refusal {
  RefusalReason reason;
  // For the client. A literal.
  std::string_view detail;
};

// 0 where nothing is answered.
int StatusOf(RefusalReason reason);

}  // namespace waggle

#endif  // WAGGLE_HTTP_HTTP_MESSAGE_H_
