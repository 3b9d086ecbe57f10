// Reads one HTTP/1 request from bytes as they come: framing, checked strictly,
// and bounded in every direction. Pure: no sockets, no clocks.
//
//   RequestParser parser(max_body_bytes);
//   size_t used = parser.Feed(bytes);       // as often as bytes come
//   if (parser.refusal()) ...               // answer that and close
//   if (parser.complete()) Serve(parser.TakeRequest());  // then the next one
//
// The outcome does not depend on how the bytes were cut into pieces. Whatever
// two HTTP implementations could read in two ways is refused rather than
// guessed, because a proxy before the gateway may guess otherwise, and what is
// body to one of them would be a request to the other:
//   - lines end with CRLF; no control characters, no folded fields;
//   - at most one Content-Length, in digits, and never beside
//   Transfer-Encoding,
//     which may only be "chunked" and only in HTTP/1.1;
//   - exactly one Host in HTTP/1.1.
// What the gateway has no use for but could mislead somebody is refused too:
// Range, and content codings (a signature is over the bytes as sent).
#ifndef WAGGLE_HTTP_REQUEST_PARSER_H_
#define WAGGLE_HTTP_REQUEST_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/http_message.h"

namespace waggle {

// Not thread-safe.
class RequestParser {
 public:
  // In bytes, with line ends. Bindbee's requests need a tenth of it.
  static constexpr size_t kMaxRequestLine = 4096;
  static constexpr size_t kMaxFieldLine = 8000;
  static constexpr size_t kMaxHead = 16 * 1024;
  static constexpr size_t kMaxFields = 64;
  static constexpr size_t kMaxChunkLine = 256;
  // All extensions and trailer fields of a chunked body.
  static constexpr size_t kMaxChunkExtras = 4096;

  explicit RequestParser(size_t max_body) : max_body_(max_body) {}

  // Takes what belongs to this request from the front of `data`; returns how
  // much that was. Everything, unless the request is complete or refused.
  size_t Feed(std::string_view data);

  // The request line and all fields were read and are valid.
  bool head_complete() const {
    return state_ > State::kFields && state_ != State::kRefused;
  }
  bool complete() const { return state_ == State::kComplete; }
  const std::optional<Refusal>& refusal() const { return refusal_; }

  // The client waits for 100 Continue before it sends the body.
  bool expects_continue() const { return expects_continue_; }
  // The connection can serve another request after this one.
  bool keep_alive() const { return keep_alive_; }
  // The client speaks HTTP/1.1, so an answer may come in chunks.
  bool http_1_1() const { return http_1_1_; }

  // What was read so far. The caller may fill in what does not come from bytes.
  const HttpRequest& request() const { return request_; }
  HttpRequest& request() { return request_; }
  // Memory held, in bytes.
  size_t memory() const {
    return request_.head_.capacity() + request_.body.capacity() +
           line_.capacity();
  }

  // Of a complete request; the parser is then ready for the next one.
  HttpRequest TakeRequest();

 private:
  // In the order in which a request passes through them.
  enum class State {
    kRequestLine,
    kFields,
    kBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailer,
    kComplete,
    kRefused,
  };

  size_t Step(std::string_view data);
  size_t FeedHead(std::string_view data);
  size_t FeedBody(std::string_view data);
  size_t FeedChunkLine(std::string_view data);

  // Lines come without their CRLF.
  void OnRequestLine(std::string_view line, size_t offset);
  void OnField(std::string_view line, size_t offset);
  void OnKnownField(std::string_view name, std::string_view value);
  void OnContentLength(std::string_view value);
  void OnHeadComplete();
  void OnChunkSize(std::string_view line);
  void OnTrailer(std::string_view line);

  void Refuse(RefusalReason reason, std::string_view detail);

  size_t max_body_;
  State state_ = State::kRequestLine;
  std::optional<Refusal> refusal_;
  HttpRequest request_;

  // Where the line that is being read starts in request_.head_.
  size_t line_start_ = 0;
  // The line of a chunked body that is being read.
  std::string line_;
  // Of a body with Content-Length, or of the current chunk.
  size_t body_left_ = 0;
  size_t chunk_extras_ = 0;

  bool http_1_1_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  bool chunked_ = false;
  std::optional<size_t> content_length_;
  int hosts_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_REQUEST_PARSER_H_
