#include "cli/event_format.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/progress.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::Event Sample() {
  v1::Event event;
  event.set_id("01990000-0000-7000-8000-000000000001");
  event.set_sequence(UINT64_MAX);
  event.set_type(v1::EVENT_TYPE_SYNC_COMPLETED);
  event.set_type_name("connector_synced");
  event.set_endpoint("bindbee");
  event.mutable_received_at()->set_seconds(1'750'000'000);
  event.mutable_connector()->set_origin_id("acme");
  event.mutable_connector()->set_display_name("BambooHR");
  event.mutable_connector()->set_end_user_email("someone@acme.example");
  event.mutable_sync()->set_name("#13");
  event.mutable_sync_status()->set_display_status_name("Done");
  return event;
}

TEST(EventFormatTest, JsonIsOneLineThatReadsBackAsTheSameEvent) {
  v1::Event event = Sample();
  event.set_payload("{\n}\n");
  event.mutable_connector()->set_org_name("a\nb\"c\u2028");
  const std::string line = ToJsonLine(event);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr(R"("sequence":"18446744073709551615")"));
  EXPECT_THAT(line, HasSubstr(R"("type":"EVENT_TYPE_SYNC_COMPLETED")"));
  v1::Event back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &back).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(event, back));
}

TEST(EventFormatTest, TableHasWhatAnOperatorLooksFor) {
  v1::Event event = Sample();
  event.set_sequence(42);
  EXPECT_EQ(ToTableLine(event),
            "        42  2025-06-15T15:06:40.000  connector_synced         "
            "bindbee       acme              BambooHR          Done #13\n");
}

TEST(EventFormatTest, TableShowsNoPersonalData) {
  EXPECT_THAT(ToTableLine(Sample()), Not(HasSubstr("someone@")));
}

TEST(EventFormatTest, NothingInAnEventReachesTheTerminalAsAControl) {
  v1::Event event = Sample();
  event.set_type_name("a\x1b[2Jb");
  event.mutable_connector()->set_display_name("x\ny\x7f\u009bz");
  const std::string line = ToTableLine(event);
  EXPECT_THAT(line, HasSubstr("a.[2Jb"));
  EXPECT_THAT(line, HasSubstr("x.y...z"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(EventFormatTest, TableTellsWhatHappenedForEveryKindOfData) {
  v1::Event event;
  event.mutable_sync_failure()->set_message("refused");
  EXPECT_THAT(ToTableLine(event), EndsWith("  refused\n"));
  event.mutable_employees_changed()->add_employee_ids("e");
  EXPECT_THAT(ToTableLine(event), EndsWith("  employees 1\n"));
  auto* modified = event.mutable_data_modified();
  modified->add_record_ids("r");
  auto* change = modified->add_changes();
  change->set_model("hris_employment");
  change->add_record_ids("r1");
  change->add_record_ids("r2");
  EXPECT_THAT(ToTableLine(event), EndsWith("  hris_employment 2, records 1\n"));
  event.mutable_unrecognized()->set_problem("not JSON");
  EXPECT_THAT(ToTableLine(event), EndsWith("  unrecognized: not JSON\n"));
  event.clear_data();
  EXPECT_THAT(ToTableLine(event), EndsWith("  -\n"));
}

class ProgressTest : public ::testing::Test {
 protected:
  v1::SubscribeResponse Events(int n, absl::Time received, bool caught_up) {
    v1::SubscribeResponse response;
    for (int i = 0; i < n; ++i) {
      response.add_events()->mutable_received_at()->set_seconds(
          absl::ToUnixSeconds(received));
    }
    response.set_caught_up(caught_up);
    return response;
  }

  Progress Make(bool terminal) {
    return Progress(terminal,
                    [this](const std::string& text) { out_.push_back(text); });
  }

  const std::chrono::steady_clock::time_point start_{};
  const absl::Time wall_ = absl::FromUnixSeconds(1'750'000'000);
  std::vector<std::string> out_;
};

TEST_F(ProgressTest, TellsCountRateAndDistance) {
  Progress progress = Make(/*terminal=*/false);
  progress.Update(Events(100, wall_ - absl::Hours(3), false), start_, wall_);
  progress.Update(Events(900, wall_ - absl::Hours(2), false),
                  start_ + std::chrono::seconds(10), wall_);
  progress.Update(Events(500, wall_, true), start_ + std::chrono::seconds(15),
                  wall_);
  EXPECT_THAT(out_, ElementsAre("catching up: 1000 events, 100 a second, 2h "
                                "behind\n",
                                "caught up: 1500 events, 100 a second\n"));
}

TEST_F(ProgressTest, IsSilentWhenThereIsLittleToCatchUp) {
  Progress progress = Make(/*terminal=*/true);
  progress.Update(Events(10, wall_, false), start_, wall_);
  progress.Update(Events(10, wall_, true),
                  start_ + std::chrono::milliseconds(100), wall_);
  EXPECT_THAT(out_, IsEmpty());
}

TEST_F(ProgressTest, IsSilentOnceCaughtUp) {
  Progress progress = Make(/*terminal=*/true);
  progress.Update(Events(1, wall_, true), start_, wall_);
  progress.Update(Events(1, wall_, false), start_ + std::chrono::hours(1),
                  wall_);
  EXPECT_THAT(out_, IsEmpty());
}

TEST_F(ProgressTest, RewritesOneLineOnATerminal) {
  Progress progress = Make(/*terminal=*/true);
  progress.Update(Events(1, wall_, false), start_, wall_);
  progress.Update(Events(1, wall_, false), start_ + std::chrono::seconds(1),
                  wall_);
  progress.Update(Events(0, wall_, true), start_ + std::chrono::seconds(2),
                  wall_);
  EXPECT_THAT(
      out_, ElementsAre("\rcatching up: 2 events, 2 a second, 0s behind\x1b[K",
                        "\rcaught up: 2 events, 1 a second\x1b[K", "\n"));
}

}  // namespace
}  // namespace waggle
