#include "cli/send_webhooks.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class RetriesTest : public ::testing::Test {
 protected:
  absl::StatusOr<WebhookReply> Post(
      std::vector<absl::StatusOr<WebhookReply>> outcomes, int retries) {
    size_t next = 0;
    auto reply = PostWithRetries(
        [&] { return outcomes.at(next++); }, retries,
        [this](absl::Duration pause) { pauses_.push_back(pause); });
    EXPECT_EQ(pauses_.size() + 1, next);
    return reply;
  }

  static WebhookReply Reply(int status,
                            std::optional<std::string> retry_after = {}) {
    return {status, "", std::move(retry_after)};
  }

  std::vector<absl::Duration> pauses_;
};

TEST_F(RetriesTest, AnswersAreFinal) {
  for (const int status : {200, 204, 401, 404, 413, 500}) {
    EXPECT_EQ(Post({Reply(status)}, 5)->status, status);
  }
  EXPECT_THAT(pauses_, IsEmpty());
}

TEST_F(RetriesTest, TriesAgainWhileTheGatewayCannotTakeIt) {
  const auto reply = Post({Reply(503, "2"), absl::UnavailableError("refused"),
                           absl::DeadlineExceededError("late"), Reply(200)},
                          5);
  EXPECT_EQ(reply->status, 200);
  EXPECT_THAT(pauses_, ElementsAre(absl::Seconds(2), absl::Milliseconds(400),
                                   absl::Milliseconds(800)));
}

TEST_F(RetriesTest, GivesUpAfterTheLastRetry) {
  EXPECT_EQ(Post({Reply(503), Reply(503), Reply(503)}, 2)->status, 503);
  EXPECT_EQ(pauses_.size(), 2u);
}

TEST_F(RetriesTest, DoesNotTryAgainWhatCannotWork) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      Post({absl::InvalidArgumentError("not a URL")}, 5).status()));
}

TEST_F(RetriesTest, BoundsWhatTheGatewayAsksFor) {
  Post({Reply(503, "99999"), Reply(503, "-1"), Reply(503, "Fri, 31 Dec"),
        Reply(200)},
       5)
      .IgnoreError();
  EXPECT_THAT(pauses_, ElementsAre(absl::Seconds(30), absl::Milliseconds(400),
                                   absl::Milliseconds(800)));
}

TEST(MakeUniqueTest, AddsAMemberToTheObject) {
  absl::BitGen random;
  EXPECT_THAT(
      *MakeUnique(" {\"a\": 1}\n", random),
      MatchesRegex(" \\{\"waggle_send_id\":\"[0-9a-f]+\",\"a\": 1\\}\n"));
  EXPECT_THAT(*MakeUnique("{ }", random),
              MatchesRegex("\\{\"waggle_send_id\":\"[0-9a-f]+\" \\}"));
}

TEST(MakeUniqueTest, MakesEveryBodyDifferent) {
  absl::BitGen random;
  EXPECT_NE(*MakeUnique("{}", random), *MakeUnique("{}", random));
}

TEST(MakeUniqueTest, RefusesWhatIsNoObject) {
  absl::BitGen random;
  for (const char* body : {"", " ", "[1]", "\"{\"", "x"}) {
    EXPECT_FALSE(MakeUnique(body, random).ok()) << body;
  }
}

}  // namespace
}  // namespace waggle
