#include "cli/event_file.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

v1::Event EventNumber(int n) {
  v1::Event event;
  event.set_id(std::string(36, 'a'));
  event.set_payload(std::string("\n\0\xff{", 4));
  event.set_sequence(static_cast<uint64_t>(n));
  (*event.mutable_unrecognized()->mutable_data()->mutable_fields())["x"]
      .set_number_value(0.1);
  return event;
}

class EventFileTest : public ::testing::Test {
 protected:
  ~EventFileTest() override { CloseFile(); }

  void CloseFile() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  EventReader ReaderOf(const std::string& content,
                       std::optional<EventFormat> format = std::nullopt) {
    std::ofstream(dir_.File("events"), std::ios::binary) << content;
    fd_ = open(dir_.File("events").c_str(), O_RDONLY | O_CLOEXEC);
    return EventReader(fd_, format);
  }

  TempDir dir_;
  int fd_ = -1;
};

TEST_F(EventFileTest, BothFormatsAreKnownAndComeBackAsTheyWere) {
  for (const EventFormat format :
       {EventFormat::kJsonLines, EventFormat::kProtobuf}) {
    std::string content;
    for (int n = 0; n < 3; ++n) {
      ASSERT_TRUE(AppendEvent(format, EventNumber(n), content).ok());
    }
    EventReader reader = ReaderOf(content);
    for (int n = 0; n < 3; ++n) {
      const auto event = reader.Next();
      ASSERT_TRUE(event.ok()) << event.status();
      ASSERT_TRUE(event->has_value());
      EXPECT_TRUE(MessageDifferencer::Equals(**event, EventNumber(n)));
    }
    const auto end = reader.Next();
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_FALSE(end->has_value());
    CloseFile();
  }
}

// A message of 123 bytes has the length '{'.
TEST_F(EventFileTest, ALengthThatLooksLikeJsonIsNone) {
  v1::Event event;
  event.set_id(std::string(121, 'x'));
  std::string content;
  ASSERT_TRUE(AppendEvent(EventFormat::kProtobuf, event, content).ok());
  ASSERT_EQ(content[0], '{');
  const auto read = ReaderOf(content).Next();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->id(), event.id());
}

TEST_F(EventFileTest, JsonIsKnownBehindBlankLinesAndAByteOrderMark) {
  for (const std::string before :
       {"\n", " \r\n\t", "\xEF\xBB\xBF", "\xEF\xBB\xBF\r\n"}) {
    EventReader reader = ReaderOf(before + "{\"sequence\":\"1\"}\n");
    const auto event = reader.Next();
    ASSERT_TRUE(event.ok()) << event.status();
    ASSERT_TRUE(event->has_value());
    EXPECT_EQ((*event)->sequence(), 1u);
    CloseFile();
  }
}

// A message of 10 bytes has a line feed for its length, one of 32 a blank.
TEST_F(EventFileTest, ALengthThatLooksLikeABlankIsNone) {
  for (const size_t size : {10, 32}) {
    v1::Event event;
    event.set_id(std::string(size - 2, 'x'));
    std::string content;
    ASSERT_TRUE(AppendEvent(EventFormat::kProtobuf, event, content).ok());
    EventReader reader = ReaderOf(content);
    const auto read = reader.Next();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ((*read)->id(), event.id());
    CloseFile();
  }
}

// As what comes through a pipe may.
TEST_F(EventFileTest, TheFirstBytesMayComeOneByOne) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  fd_ = ends[0];
  std::thread writer([fd = ends[1]] {
    for (const char c : std::string("\xEF\xBB\xBF\n{\"sequence\":\"1\"}")) {
      EXPECT_EQ(write(fd, &c, 1), 1);
      std::this_thread::yield();
    }
    close(fd);
  });
  EventReader reader(fd_, std::nullopt);
  const auto event = reader.Next();
  writer.join();
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ((*event)->sequence(), 1u);
}

TEST_F(EventFileTest, CanBeCancelledWhileItWaits) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  fd_ = ends[0];
  const std::string line = "{\"sequence\":\"1\"}\n";
  ASSERT_EQ(write(ends[1], line.data(), line.size()),
            static_cast<ssize_t>(line.size()));
  const int cancelled = eventfd(0, EFD_CLOEXEC);
  EventReader reader(fd_, std::nullopt, cancelled);
  EXPECT_TRUE(reader.Next().ok());
  std::thread canceller([cancelled] { eventfd_write(cancelled, 1); });
  EXPECT_TRUE(absl::IsCancelled(reader.Next().status()));
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(reader.Next().status()));
  close(cancelled);
  close(ends[1]);
}

TEST_F(EventFileTest, SaysWhichLineIsWrong) {
  EventReader reader =
      ReaderOf("{\"sequence\":\"1\"}\n\n{\"sequnce\":\"2\"}\n");
  EXPECT_TRUE(reader.Next().ok());
  const auto wrong = reader.Next();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.status())) << wrong.status();
  EXPECT_EQ(reader.Place(), "line 3");
}

TEST_F(EventFileTest, TakesALastLineWithoutItsEnd) {
  EventReader reader = ReaderOf("{\"sequence\":\"1\"}");
  EXPECT_EQ((*reader.Next())->sequence(), 1u);
  EXPECT_FALSE(reader.Next()->has_value());
}

TEST_F(EventFileTest, SaysWhereAMessageIsCutOff) {
  std::string content;
  ASSERT_TRUE(
      AppendEvent(EventFormat::kProtobuf, EventNumber(1), content).ok());
  const size_t first = content.size();
  ASSERT_TRUE(
      AppendEvent(EventFormat::kProtobuf, EventNumber(2), content).ok());
  content.pop_back();
  EventReader reader = ReaderOf(content);
  EXPECT_TRUE(reader.Next().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(reader.Next().status()));
  EXPECT_EQ(reader.Place(), "byte " + std::to_string(first));
}

TEST_F(EventFileTest, AnEmptyFileHoldsNothing) {
  EventReader reader = ReaderOf("");
  const auto event = reader.Next();
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_FALSE(event->has_value());
}

TEST_F(EventFileTest, ADirectoryCannotBeRead) {
  fd_ = open(dir_.File("").c_str(), O_RDONLY | O_CLOEXEC);
  EventReader reader(fd_, EventFormat::kJsonLines);
  EXPECT_THAT(reader.Next().status().message(), HasSubstr("cannot read"));
}

}  // namespace
}  // namespace waggle
