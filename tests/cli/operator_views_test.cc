// What deliveries, trace and top print.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "cli/delivery_format.h"
#include "cli/text.h"
#include "cli/top_view.h"
#include "cli/trace_story.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// 2025-01-31T08:00:00Z.
constexpr int64_t kMorning = 1'738'310'400;

v1::Delivery Arrival() {
  v1::Delivery delivery;
  delivery.set_id(7);
  delivery.mutable_received_at()->set_seconds(kMorning);
  delivery.mutable_received_at()->set_nanos(500'000'000);
  delivery.set_endpoint("bindbee");
  delivery.set_remote_address("203.0.113.7");
  delivery.set_size_bytes(984);
  delivery.set_outcome(v1::DELIVERY_OUTCOME_ACCEPTED);
  delivery.set_http_status(200);
  delivery.mutable_read_duration()->set_nanos(400'000'000);
  delivery.mutable_verify_duration()->set_nanos(1'000'000);
  delivery.mutable_commit_duration()->set_nanos(2'000'000);
  delivery.set_key_fingerprint("b2ae671e632d");
  delivery.set_event_id("01990000-0000-7000-8000-000000000001");
  delivery.set_sequence(42);
  delivery.set_type_name("connector_synced");
  return delivery;
}

TEST(TextTest, DurationsAndBytesAreShort) {
  EXPECT_EQ(ShortDuration(absl::Microseconds(123)), "123us");
  EXPECT_EQ(ShortDuration(absl::Microseconds(1250)), "1.2ms");
  EXPECT_EQ(ShortDuration(absl::Milliseconds(2500)), "2.5s");
  EXPECT_EQ(ShortDuration(absl::Minutes(125)), "2h5m");
  EXPECT_EQ(BytesText(984), "984 B");
  EXPECT_EQ(BytesText(3 << 20), "3.0 MiB");
}

TEST(DeliveryFormatTest, OneLineTellsWhatBecameOfIt) {
  const std::string line = ToTableLine(Arrival());
  for (const char* part :
       {"7", "2025-01-31T08:00:00.500", "bindbee", "accepted", "200", "984",
        "403.0ms", "203.0.113.7", "connector_synced",
        "01990000-0000-7000-8000-000000000001"}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
}

TEST(DeliveryFormatTest, StrangersCannotBreakTheLine) {
  v1::Delivery delivery;
  delivery.set_path("/x\n\x1b[2J");
  delivery.set_outcome(v1::DELIVERY_OUTCOME_NOT_FOUND);
  delivery.set_unrecorded_before(12);
  const std::vector<std::string> lines =
      absl::StrSplit(ToTableLine(delivery), '\n');
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_THAT(lines[0], HasSubstr("12 more refused requests"));
  EXPECT_THAT(lines[1], HasSubstr("/x..[2J"));
  EXPECT_THAT(lines[1], HasSubstr("not_found"));
}

v1::Handover HandoverTo(const std::string& principal) {
  v1::Handover handover;
  handover.set_principal(principal);
  handover.set_remote_address("10.0.0.5");
  handover.set_stream_id("s-" + principal);
  handover.mutable_stream_started_at()->set_seconds(kMorning - 60);
  return handover;
}

v1::CheckDeliveryResponse Story() {
  v1::CheckDeliveryResponse story;
  v1::CheckedEvent& checked = *story.add_events();
  checked.mutable_event()->set_sequence(42);
  checked.mutable_event()->set_type_name("connector_synced");
  *checked.add_deliveries() = Arrival();
  v1::Delivery& duplicate = *checked.add_deliveries();
  duplicate = Arrival();
  duplicate.set_outcome(v1::DELIVERY_OUTCOME_DUPLICATE);
  duplicate.mutable_received_at()->set_seconds(kMorning + 10);
  *checked.add_handovers() = HandoverTo("waiting");
  v1::Handover& done = *checked.add_handovers();
  done = HandoverTo("billing");
  done.mutable_handed_over_at()->set_seconds(kMorning + 2);
  v1::Handover& gone = *checked.add_handovers();
  gone = HandoverTo("gone");
  gone.mutable_stream_ended_at()->set_seconds(kMorning + 1);
  return story;
}

TEST(TraceStoryTest, TellsInOrderOfTimeFromTheFirstByteToEachSubscriber) {
  const std::string text = ToStory("sync s", Story());
  size_t at = 0;
  for (const char* part :
       {"sync s: 1 event", "connector_synced", "sequence 42",
        "08:00:00.100  first byte from 203.0.113.7",
        "08:00:00.500  read to its end: 984 bytes in 400.0ms",
        "08:00:00.501  authentic: signed with key b2ae671e632d",
        "08:00:00.503  stored durably as sequence 42 in 2.0ms; answered 200",
        "08:00:01.000  not handed over before its end: gone at 10.0.0.5",
        "08:00:02.000  handed over to billing at 10.0.0.5 (stream s-billing",
        "08:00:10.500  duplicate: the same body again", "pending",
        "not handed over yet to waiting", "Nothing was refused in that time"}) {
    const size_t found = text.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << " in\n" << text;
    at = found;
  }
}

TEST(TraceStoryTest, SaysIfNobodyWantedIt) {
  v1::CheckDeliveryResponse story = Story();
  story.mutable_events(0)->clear_handovers();
  EXPECT_THAT(ToStory("sync s", story), HasSubstr("no stream whose filter"));
}

TEST(TraceStoryTest, SaysIfThereCanBeMoreStreams) {
  v1::CheckDeliveryResponse story = Story();
  EXPECT_THAT(ToStory("sync s", story), Not(HasSubstr("more streams")));
  story.mutable_events(0)->set_handovers_truncated(true);
  EXPECT_THAT(ToStory("sync s", story), HasSubstr("can be more streams"));
  story.mutable_events(0)->clear_handovers();
  EXPECT_THAT(ToStory("sync s", story), Not(HasSubstr("no stream")));
}

TEST(TraceStoryTest, SaysWhatWasRefusedIfNothingArrived) {
  v1::CheckDeliveryResponse story;
  v1::RefusedDeliveries& refused = *story.add_refused();
  refused.set_endpoint("bindbee");
  refused.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  refused.set_recorded(3);
  refused.mutable_last()->set_remote_address("203.0.113.9");
  const std::string text = ToStory("origin acme", story);
  EXPECT_THAT(text, HasSubstr("origin acme: nothing arrived that you may see"));
  EXPECT_THAT(text, HasSubstr("unauthenticated at bindbee: 3 recorded"));
  EXPECT_THAT(text, HasSubstr("203.0.113.9"));
  EXPECT_THAT(text, Not(HasSubstr("shorter time")));
}

TEST(TraceStoryTest, SaysIfMoreWasRefusedInAnyPart) {
  v1::CheckDeliveryResponse first;
  first.set_refused_truncated(true);
  v1::CheckDeliveryResponse story;
  AppendPart(first, story);
  AppendPart(v1::CheckDeliveryResponse(), story);
  std::string text = ToStory("sync s", story);
  EXPECT_THAT(text, HasSubstr("shorter time"));
  EXPECT_THAT(text, Not(HasSubstr("Nothing was refused")));
  story.add_refused()->set_recorded(3);
  EXPECT_THAT(ToStory("sync s", story), HasSubstr("and more"));
}

TEST(TraceStoryTest, PartsMakeOneStory) {
  v1::CheckDeliveryResponse first = Story();
  first.set_truncated(true);
  first.mutable_searched_since()->set_seconds(1);
  first.mutable_searched_until()->set_seconds(2);
  v1::RefusedDeliveries& refused = *first.add_refused();
  refused.set_endpoint("bindbee");
  refused.set_recorded(3);
  v1::CheckDeliveryResponse second = Story();  // overlaps
  second.add_events()->mutable_event()->set_sequence(43);
  second.mutable_searched_since()->set_seconds(2);
  second.mutable_searched_until()->set_seconds(3);
  *second.add_refused() = refused;
  v1::CheckDeliveryResponse story;
  AppendPart(first, story);
  AppendPart(second, story);
  ASSERT_EQ(story.events_size(), 2);
  EXPECT_EQ(story.events(1).event().sequence(), 43u);
  ASSERT_EQ(story.refused_size(), 1);
  EXPECT_EQ(story.refused(0).recorded(), 6u);
  EXPECT_EQ(story.searched_since().seconds(), 1);
  EXPECT_EQ(story.searched_until().seconds(), 3);
  EXPECT_FALSE(story.truncated());
}

class TopViewTest : public ::testing::Test {
 protected:
  TopViewTest() {
    gateway_.set_version("1.2.3");
    gateway_.set_ready(true);
    gateway_.mutable_started_at()->set_seconds(kMorning - 3600);
    gateway_.mutable_now()->set_seconds(kMorning);
    v1::EndpointState& endpoint = *gateway_.add_endpoints();
    endpoint.set_name("bindbee");
    endpoint.add_keys()->set_fingerprint("b2ae671e632d");
    gateway_.add_rates()->set_accepted(125);
    for (int i = 0; i < 50; ++i) {
      v1::Subscriber& subscriber = *subscribers_.add_subscribers();
      subscriber.set_principal("billing");
      subscriber.set_lag_events(1000);
      subscriber.add_filters()->add_origin_ids("acme \x1b[2J");
    }
    subscribers_.set_total(60);
  }

  std::vector<std::string> Lines(size_t columns, size_t rows) {
    std::vector<std::string> lines =
        absl::StrSplit(TopView(gateway_, subscribers_, columns, rows), '\n');
    EXPECT_EQ(lines.back(), "");
    lines.pop_back();
    return lines;
  }

  v1::GetGatewayResponse gateway_;
  v1::ListSubscribersResponse subscribers_;
};

TEST_F(TopViewTest, ShowsEverythingIfThereIsRoom) {
  const std::string text = TopView(gateway_, subscribers_, 1000, 1000);
  for (const char* part :
       {"1.2.3", "up 1h", ", ready", "12.5 accepted", "bindbee", "never",
        "b2ae671e632d", "SUBSCRIBERS: 60", "billing", "1000",
        "{\"originIds\":[\"acme", "and 10 more"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(TopViewTest, FiltersThatWereLeftOutAreNotTakenForNone) {
  for (auto& subscriber : *subscribers_.mutable_subscribers()) {
    subscriber.clear_filters();
    subscriber.set_filters_omitted(true);
  }
  const std::string text = TopView(gateway_, subscribers_, 1000, 1000);
  EXPECT_THAT(text, HasSubstr("too large to show"));
  EXPECT_THAT(text, Not(HasSubstr("everything")));
}

TEST_F(TopViewTest, FitsTheTerminal) {
  for (const size_t rows : {1, 8, 24}) {
    const std::vector<std::string> lines = Lines(40, rows);
    EXPECT_THAT(lines, SizeIs(rows));
    EXPECT_THAT(lines, Each(SizeIs(::testing::Le(40u))));
  }
  EXPECT_THAT(Lines(80, 24).back(),
              ::testing::MatchesRegex("and [0-9]+ more.*"));
}

TEST_F(TopViewTest, CutsBetweenCharacters) {
  gateway_.set_version("\xc3\xa4\xc3\xb6\xc3\xbc");  // three letters
  EXPECT_EQ(Lines(9, 1)[0], "waggle \xc3\xa4\xc3\xb6");
}

TEST_F(TopViewTest, SaysWhyItIsNotReady) {
  gateway_.set_ready(false);
  gateway_.set_not_ready_reason("the disk is almost full");
  EXPECT_THAT(TopView(gateway_, subscribers_, 200, 50),
              HasSubstr("NOT READY: the disk is almost full"));
}

}  // namespace
}  // namespace waggle
