#include "cli/event_file.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "cli/text.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

namespace pb = ::google::protobuf;

// More than any event with its payload has in JSON.
constexpr size_t kMaxLine = 256 << 20;
// More blank lines than anybody leaves before the first event.
constexpr size_t kMaxHead = 1 << 20;
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Nothing if that takes more of the file. A length may be '{', or be taken for
// blanks before one, but then a field's tag follows: that of the id is a line
// feed, which no line of JSON has in its place.
std::optional<EventFormat> FormatBeginningWith(absl::string_view head) {
  if (absl::StartsWith(kByteOrderMark, head)) return std::nullopt;
  absl::ConsumePrefix(&head, kByteOrderMark);
  head = absl::StripLeadingAsciiWhitespace(head);
  if (head.empty() || head == "{") return std::nullopt;
  return head[0] == '{' && head[1] != '\n' ? EventFormat::kJsonLines
                                           : EventFormat::kProtobuf;
}

}  // namespace

absl::Status AppendEvent(EventFormat format, const v1::Event& event,
                         std::string& out) {
  if (format == EventFormat::kJsonLines) {
    WAGGLE_ASSIGN_OR_RETURN(const std::string line, JsonLine(event));
    out += line;
    return absl::OkStatus();
  }
  pb::io::StringOutputStream stream(&out);
  return pb::util::SerializeDelimitedToZeroCopyStream(event, &stream)
             ? absl::OkStatus()
             : absl::InternalError("an event cannot be serialised");
}

absl::StatusOr<std::optional<v1::Event>> EventReader::Next() {
  if (!format_.has_value()) Detect();
  return *format_ == EventFormat::kJsonLines ? NextLine() : NextMessage();
}

std::string EventReader::Place() const {
  return format_ == EventFormat::kProtobuf ? absl::StrCat("byte ", message_at_)
                                           : absl::StrCat("line ", lines_);
}

void EventReader::Detect() {
  size_t seen = 0;
  while (!format_.has_value() && seen < kMaxHead) {
    const std::string_view head = input_.PeekMore();
    if (head.size() == seen) break;
    seen = head.size();
    format_ = FormatBeginningWith(AsAbsl(head));
  }
  if (!format_.has_value()) format_ = EventFormat::kJsonLines;
}

absl::StatusOr<std::optional<v1::Event>> EventReader::NextLine() {
  std::string line;
  do {
    WAGGLE_ASSIGN_OR_RETURN(const bool more, ReadLine(line));
    if (!more) return std::nullopt;
    if (lines_ == 1 && absl::StartsWith(line, kByteOrderMark)) {
      line.erase(0, kByteOrderMark.size());
    }
  } while (absl::StripAsciiWhitespace(line).empty());
  v1::Event event;
  if (const auto status = pb::util::JsonStringToMessage(line, &event);
      !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a waggle.v1.Event in JSON: ", status.message().ToString()));
  }
  return event;
}

absl::StatusOr<bool> EventReader::ReadLine(std::string& line) {
  line.clear();
  const void* data;
  int size = 0;
  bool any = false;
  while (stream_.Next(&data, &size)) {
    if (size == 0) continue;
    if (!any) ++lines_;
    any = true;
    const char* bytes = static_cast<const char*>(data);
    const void* end = std::memchr(bytes, '\n', static_cast<size_t>(size));
    if (end != nullptr) {
      const auto length = static_cast<const char*>(end) - bytes;
      line.append(bytes, static_cast<size_t>(length));
      stream_.BackUp(size - static_cast<int>(length) - 1);
      return true;
    }
    line.append(bytes, static_cast<size_t>(size));
    if (line.size() > kMaxLine) {
      return absl::InvalidArgumentError("the line is too long for an event");
    }
  }
  WAGGLE_RETURN_IF_ERROR(input_.status());
  return any;
}

absl::StatusOr<std::optional<v1::Event>> EventReader::NextMessage() {
  message_at_ = stream_.ByteCount();
  v1::Event event;
  bool clean_end = false;
  if (pb::util::ParseDelimitedFromZeroCopyStream(&event, &stream_,
                                                 &clean_end)) {
    return event;
  }
  WAGGLE_RETURN_IF_ERROR(input_.status());
  if (clean_end) return std::nullopt;
  return absl::InvalidArgumentError(
      "not a waggle.v1.Event behind its length, or cut off");
}

std::string_view EventReader::Input::PeekMore() {
  const size_t size = peeked_.size();
  peeked_.resize(size + kBlock);
  const int n = ReadNew(peeked_.data() + size, kBlock);
  peeked_.resize(size + static_cast<size_t>(std::max(n, 0)));
  return peeked_;
}

int EventReader::Input::Read(void* buffer, int size) {
  if (!status_.ok()) return -1;
  if (peeked_.empty()) return ReadNew(buffer, size);
  const size_t n =
      peeked_.copy(static_cast<char*>(buffer), static_cast<size_t>(size));
  peeked_.erase(0, n);
  return static_cast<int>(n);
}

int EventReader::Input::ReadNew(void* buffer, int size) {
  pollfd watched[] = {{fd_, POLLIN, 0}, {cancelled_, POLLIN, 0}};
  while (true) {
    if (poll(watched, 2, -1) > 0) {
      if (watched[1].revents != 0) {
        status_ = absl::CancelledError("cancelled");
        return -1;
      }
      const ssize_t n = read(fd_, buffer, static_cast<size_t>(size));
      if (n >= 0) return static_cast<int>(n);
    }
    if (errno != EINTR && errno != EAGAIN) {
      status_ = absl::ErrnoToStatus(errno, "cannot read it");
      return -1;
    }
  }
}

}  // namespace waggle
