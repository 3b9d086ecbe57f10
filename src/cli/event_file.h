// Events in files, as `waggle export` writes them: JSON lines (proto3 JSON, a
// line for each waggle.v1.Event) or protobuf (each waggle.v1.Event behind its
// length as a varint, as parseDelimitedFrom reads it).
#ifndef WAGGLE_CLI_EVENT_FILE_H_
#define WAGGLE_CLI_EVENT_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

enum class EventFormat { kJsonLines, kProtobuf };

// Adds the event to what is to be written.
absl::Status AppendEvent(EventFormat format, const v1::Event& event,
                         std::string& out);

class EventReader {
 public:
  // Reads the descriptor, which is borrowed, from where it is. Without a format
  // it is known by the first bytes.
  EventReader(int fd, std::optional<EventFormat> format)
      : stream_(fd), format_(format) {}

  // The next event; nothing at the end. INVALID_ARGUMENT for what is not an
  // event in the format; others of reading.
  absl::StatusOr<std::optional<v1::Event>> Next();

  // Where what Next() gave or failed for begins: "line 7", "byte 1234".
  std::string Place() const;

 private:
  void Detect();
  absl::StatusOr<std::optional<v1::Event>> NextLine();
  absl::StatusOr<std::optional<v1::Event>> NextMessage();
  // The next line without its end; false at the end of the file.
  absl::StatusOr<bool> ReadLine(std::string& line);
  absl::Status ReadStatus() const;

  google::protobuf::io::FileInputStream stream_;
  std::optional<EventFormat> format_;
  uint64_t lines_ = 0;
  int64_t message_at_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_EVENT_FILE_H_
