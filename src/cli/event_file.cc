#include "cli/event_file.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
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

// A length may be 123, which is '{', but then a field's tag follows: that of
// the id is a line feed, which no line of JSON has in its place.
void EventReader::Detect() {
  const void* data;
  int size = 0;
  while (size == 0 && stream_.Next(&data, &size)) {
  }
  const char* bytes = size > 0 ? static_cast<const char*>(data) : "";
  const bool json =
      size == 0 || (bytes[0] == '{' && (size == 1 || bytes[1] != '\n'));
  format_ = json ? EventFormat::kJsonLines : EventFormat::kProtobuf;
  if (size > 0) stream_.BackUp(size);
}

absl::StatusOr<std::optional<v1::Event>> EventReader::NextLine() {
  std::string line;
  do {
    WAGGLE_ASSIGN_OR_RETURN(const bool more, ReadLine(line));
    if (!more) return std::nullopt;
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
  WAGGLE_RETURN_IF_ERROR(ReadStatus());
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
  WAGGLE_RETURN_IF_ERROR(ReadStatus());
  if (clean_end) return std::nullopt;
  return absl::InvalidArgumentError(
      "not a waggle.v1.Event behind its length, or cut off");
}

absl::Status EventReader::ReadStatus() const {
  const int error = stream_.GetErrno();
  return error == 0 ? absl::OkStatus()
                    : absl::ErrnoToStatus(error, "cannot read it");
}

}  // namespace waggle
