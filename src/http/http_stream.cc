#include "http/http_stream.h"

#include <utility>

namespace waggle {

void HttpStream::Write(std::string part) {
  MutexLock lock(mu_);
  if (source_ == nullptr) return;
  part_ = std::move(part);
  Stir();
}

void HttpStream::End(std::string last_part) {
  MutexLock lock(mu_);
  if (source_ == nullptr) return;
  if (!last_part.empty()) part_ = std::move(last_part);
  ended_ = true;
  Stir();
}

void HttpStream::Cut() {
  MutexLock lock(mu_);
  cut_ = true;
  Stir();
}

std::shared_ptr<HttpStream> HttpStream::Lease() {
  return {this,
          [stream = shared_from_this()](HttpStream*) { stream->Close(); }};
}

void HttpStream::Attach(std::function<void()> stir) {
  MutexLock lock(mu_);
  stir_ = std::move(stir);
}

std::optional<std::string> HttpStream::TakePart() {
  MutexLock lock(mu_);
  return std::exchange(part_, std::nullopt);
}

void HttpStream::NoteWritten() {
  std::shared_ptr<HttpStreamSource> source;
  {
    MutexLock lock(mu_);
    source = source_;
  }
  if (source != nullptr) source->OnWritten();
}

bool HttpStream::ended() {
  MutexLock lock(mu_);
  return ended_ && !part_.has_value();
}

bool HttpStream::cut() {
  MutexLock lock(mu_);
  return cut_;
}

void HttpStream::Close() {
  std::shared_ptr<HttpStreamSource> source;
  {
    MutexLock lock(mu_);
    source = std::exchange(source_, nullptr);
    stir_ = nullptr;
    part_.reset();
  }
  if (source != nullptr) source->OnClosed();
}

}  // namespace waggle
