#include "cli/tail_subscriber.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/read_file.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// One that CursorFile accepts.
std::string CursorOf(uint64_t n) {
  return "cursor-of-a-test-with-number-" + std::to_string(n);
}

v1::SubscribeResponse Response(std::vector<uint64_t> sequences,
                               bool caught_up) {
  v1::SubscribeResponse response;
  for (const uint64_t n : sequences) {
    v1::Event* event = response.add_events();
    event->set_sequence(n);
    event->set_type_name("connector_synced");
  }
  response.set_cursor(CursorOf(sequences.empty() ? 0 : sequences.back()));
  response.set_caught_up(caught_up);
  return response;
}

class TailSubscriberTest : public ::testing::Test {
 protected:
  TailSubscriberTest()
      : output_(open(dir_.File("out").c_str(), O_WRONLY | O_CREAT, 0600)),
        cursor_file_(dir_.File("cursor")) {}
  ~TailSubscriberTest() override { close(output_); }

  TailSubscriber Make(TailOptions options) {
    if (options.output == STDOUT_FILENO) options.output = output_;
    return TailSubscriber(
        options,
        {.response = [this](const v1::SubscribeResponse&) { ++responses_; },
         .message =
             [this](const std::string& message) {
               messages_.push_back(message);
             }});
  }

  std::string Output() { return ReadFile(dir_.File("out")); }

  TempDir dir_;
  const int output_;
  CursorFile cursor_file_;
  int responses_ = 0;
  std::vector<std::string> messages_;
};

TEST_F(TailSubscriberTest, PrintsAJsonLineForEachEvent) {
  TailSubscriber subscriber = Make({});
  EXPECT_TRUE(subscriber.OnResponse(Response({1, 2}, false)));
  EXPECT_TRUE(subscriber.OnResponse(Response({}, true)));
  EXPECT_TRUE(subscriber.Finish().ok());
  EXPECT_EQ(Output(),
            "{\"sequence\":\"1\",\"typeName\":\"connector_synced\"}\n"
            "{\"sequence\":\"2\",\"typeName\":\"connector_synced\"}\n");
  EXPECT_EQ(responses_, 2);
}

TEST_F(TailSubscriberTest, PrintsATableWithOneHeading) {
  TailSubscriber subscriber = Make({.table = true});
  EXPECT_TRUE(subscriber.OnResponse(Response({1}, false)));
  EXPECT_TRUE(subscriber.OnResponse(Response({2}, false)));
  const std::string output = Output();
  EXPECT_THAT(output, StartsWith("  SEQUENCE  RECEIVED"));
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 3);
  EXPECT_THAT(output, HasSubstr("\n         2  "));
}

TEST_F(TailSubscriberTest, EndsExactlyAtTheLimit) {
  TailSubscriber subscriber = Make({.limit = 3});
  EXPECT_TRUE(subscriber.OnResponse(Response({1, 2}, false)));
  EXPECT_FALSE(subscriber.OnResponse(Response({3, 4}, false)));
  const std::string output = Output();
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 3);
}

TEST_F(TailSubscriberTest, StoresTheCursorOfWhatWasPrinted) {
  TailSubscriber subscriber = Make({.cursor_file = &cursor_file_});
  EXPECT_TRUE(subscriber.OnResponse(Response({1}, true)));
  EXPECT_EQ(*cursor_file_.Load(), CursorOf(1));
  EXPECT_TRUE(subscriber.OnResponse(Response({2}, true)));
  EXPECT_EQ(*cursor_file_.Load(), CursorOf(2));
}

TEST_F(TailSubscriberTest, StoresAtTheEndWhatItPutOffWhileCatchingUp) {
  TailSubscriber subscriber = Make({.cursor_file = &cursor_file_});
  for (uint64_t n = 1; n <= 1000; ++n) {
    EXPECT_TRUE(subscriber.OnResponse(Response({n}, false)));
  }
  EXPECT_TRUE(subscriber.Finish().ok());
  EXPECT_EQ(*cursor_file_.Load(), CursorOf(1000));
}

TEST_F(TailSubscriberTest, DoesNotStoreTheCursorOfWhatCouldNotBePrinted) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  TailSubscriber subscriber =
      Make({.output = full, .cursor_file = &cursor_file_});
  EXPECT_FALSE(subscriber.OnResponse(Response({1}, true)));
  const absl::Status finished = subscriber.Finish();
  EXPECT_FALSE(finished.ok());
  EXPECT_FALSE(absl::IsCancelled(finished));
  EXPECT_EQ(*cursor_file_.Load(), "");
  close(full);
}

TEST_F(TailSubscriberTest, EndsQuietlyWhenNobodyReads) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  TailSubscriber subscriber =
      Make({.output = ends[1], .cursor_file = &cursor_file_});
  EXPECT_FALSE(subscriber.OnResponse(Response({1}, true)));
  EXPECT_TRUE(absl::IsCancelled(subscriber.Finish()));
  EXPECT_EQ(*cursor_file_.Load(), "");
  close(ends[1]);
}

TEST_F(TailSubscriberTest, EndsWhenTheCursorCannotBeStored) {
  CursorFile nowhere("/nonexistent/cursor");
  TailSubscriber subscriber = Make({.cursor_file = &nowhere});
  EXPECT_FALSE(subscriber.OnResponse(Response({1}, true)));
  EXPECT_FALSE(subscriber.Finish().ok());
}

TEST_F(TailSubscriberTest, TellsWhyAndWhenItTriesAgain) {
  TailSubscriber subscriber = Make({});
  StreamEnd end;
  end.code = grpc::StatusCode::UNAVAILABLE;
  end.reason = "STREAM_ROTATED";
  end.message = "the gateway is draining";
  subscriber.OnInterrupted(end, absl::Milliseconds(1234));
  EXPECT_THAT(messages_, ElementsAre("STREAM_ROTATED: the gateway is draining; "
                                     "again in 1.24s"));
}

}  // namespace
}  // namespace waggle
