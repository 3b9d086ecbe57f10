// Events in files, as `waggle export` writes them: JSON lines (proto3 JSON, a
// line for each waggle.v1.Event) or protobuf (each waggle.v1.Event behind its
// length as a varint, as parseDelimitedFrom reads it).
#ifndef WAGGLE_CLI_EVENT_FILE_H_
#define WAGGLE_CLI_EVENT_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

enum class EventFormat { kJsonLines, kProtobuf };

// Adds the event to what is to be written.
absl::Status AppendEvent(EventFormat format, const v1::Event& event,
                         std::string& out);

class EventReader {
 public:
  // Reads the descriptor `fd` from where it is, until there is something to
  // read from `cancelled`, an eventfd say; -1: to its end. Both are borrowed.
  // Without a format it is known by the first bytes.
  EventReader(int fd, std::optional<EventFormat> format, int cancelled = -1)
      : input_(fd, cancelled), format_(format) {}

  // The next event; nothing at the end. INVALID_ARGUMENT for what is not an
  // event in the format; CANCELLED; others of reading.
  absl::StatusOr<std::optional<v1::Event>> Next();

  // Where what Next() gave or failed for begins: "line 7", "byte 1234".
  std::string Place() const;

 private:
  static constexpr int kBlock = 64 << 10;

  // Waits for what comes, or to be cancelled.
  class Input : public google::protobuf::io::CopyingInputStream {
   public:
    Input(int fd, int cancelled) : fd_(fd), cancelled_(cancelled) {}

    // Reads more of what Read() is yet to give, and shows all of that: no more
    // than before at the end and on errors.
    std::string_view PeekMore();
    int Read(void* buffer, int size) override;
    // Why Read() gave -1.
    const absl::Status& status() const { return status_; }

   private:
    int ReadNew(void* buffer, int size);

    const int fd_;
    const int cancelled_;
    std::string peeked_;
    absl::Status status_;
  };

  void Detect();
  absl::StatusOr<std::optional<v1::Event>> NextLine();
  absl::StatusOr<std::optional<v1::Event>> NextMessage();
  // The next line without its end; false at the end of the file.
  absl::StatusOr<bool> ReadLine(std::string& line);

  Input input_;
  google::protobuf::io::CopyingInputStreamAdaptor stream_{&input_, kBlock};
  std::optional<EventFormat> format_;
  uint64_t lines_ = 0;
  int64_t message_at_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_EVENT_FILE_H_
