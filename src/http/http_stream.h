// An answer whose body comes in parts, for as long as somebody has some:
// between whoever makes it and the guard that sends it.
//
//   auto stream = std::make_shared<HttpStream>(source);
//   respond([lease = stream->Lease()]() mutable {
//     HttpResponse response;
//     response.stream = std::move(lease);
//     return response;
//   });
//   stream->Write(part);        // then the source's OnWritten()
//   stream->End();              // then the source's OnClosed()
//
// The guard holds the one lease. However it lets go of it, be it after the end,
// because the client is gone, or before the answer began, the stream is then
// closed, and its source is told so.
//
// A stream holds at most one part, so a client that does not read costs that.
#ifndef WAGGLE_HTTP_HTTP_STREAM_H_
#define WAGGLE_HTTP_HTTP_STREAM_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace waggle {

// Who makes the parts. Called on any thread, perhaps with locks of whoever
// calls the stream: must not block, nor call the stream.
class HttpStreamSource {
 public:
  virtual ~HttpStreamSource() = default;
  // The system has taken the part: the next may be written.
  virtual void OnWritten() = 0;
  // Nothing is sent any more. Once, and the last.
  virtual void OnClosed() = 0;
};

// Thread-safe.
class HttpStream : public std::enable_shared_from_this<HttpStream> {
 public:
  explicit HttpStream(std::shared_ptr<HttpStreamSource> source)
      : source_(std::move(source)) {}

  // For the source. None of these blocks; once the stream is closed they do
  // nothing. A part only when the one before was written.
  void Write(std::string part);
  // After `last_part`, which may be empty, the connection ends in good order.
  void End(std::string last_part = "");
  // The connection is closed now, whatever is under way.
  void Cut();

  // For HttpResponse::stream; once.
  std::shared_ptr<HttpStream> Lease();

  // For the guard. `stir` is called when there is something to do; it must not
  // call the stream.
  void Attach(std::function<void()> stir);
  // The part to send, if there is one.
  std::optional<std::string> TakePart();
  void NoteWritten();
  // Nothing follows what was taken.
  bool ended();
  bool cut();

 private:
  void Close();
  void Stir() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (stir_) stir_();
  }

  Mutex mu_;
  // Null once it is closed.
  std::shared_ptr<HttpStreamSource> source_ ABSL_GUARDED_BY(mu_);
  std::function<void()> stir_ ABSL_GUARDED_BY(mu_);
  std::optional<std::string> part_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool cut_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_HTTP_STREAM_H_
