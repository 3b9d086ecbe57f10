#include "http/event_text.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "event/event_json.h"
#include "gtest/gtest.h"
#include "http/request_parser.h"
#include "tests/fakes/test_events.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

HttpRequest RequestAccepting(std::string_view fields) {
  RequestParser parser(0);
  parser.Feed(absl::StrCat("GET /v1/events HTTP/1.1\r\nHost: h\r\n",
                           AsAbsl(fields), "\r\n"));
  EXPECT_TRUE(parser.complete()) << fields;
  return parser.TakeRequest();
}

TEST(EventDataForTest, CloudEventsAreForThoseWhoAcceptThem) {
  for (const char* fields :
       {"Accept: application/cloudevents+json\r\n",
        "Accept: text/event-stream, Application/CloudEvents+JSON;q=0.5\r\n",
        "Accept: text/event-stream\r\naccept: application/cloudevents+json\r\n",
        "Accept: application/cloudevents+json ; charset=utf-8\r\n"}) {
    EXPECT_EQ(EventDataFor(RequestAccepting(fields)), EventData::kCloudEvent)
        << fields;
  }
  for (const char* fields :
       {"", "Accept: */*\r\n", "Accept: text/event-stream\r\n",
        "Accept: application/*\r\n", "Accept: application/json\r\n",
        "Accept: application/cloudevents+json;q=0\r\n",
        "Accept: application/cloudevents+json; q=0.000\r\n",
        "Accept: application/cloudevents\r\n", "Accept: ,;,\r\n"}) {
    EXPECT_EQ(EventDataFor(RequestAccepting(fields)), EventData::kEvent)
        << fields;
  }
}

class ToEventStreamTest : public ::testing::Test {
 protected:
  std::string CursorAt(uint64_t sequence) const {
    return Cursor{store_, Sequence(sequence)}.Encode();
  }

  v1::Event EventAt(uint64_t sequence) {
    v1::Event event;
    event.set_id(EventId(sequence));
    event.set_sequence(sequence);
    return event;
  }

  BatchPtr BatchOf(std::initializer_list<uint64_t> sequences,
                   uint64_t through) {
    v1::SubscribeResponse response;
    for (const uint64_t sequence : sequences) {
      *response.add_events() = EventAt(sequence);
    }
    response.set_cursor(CursorAt(through));
    auto batch = std::make_shared<Batch>();
    batch->message = response.SerializeAsString();
    batch->events = sequences.size();
    batch->through = Sequence(through);
    return batch;
  }

  const StoreId store_ = {1, 2, 3};
};

TEST_F(ToEventStreamTest, EachEventHasTheCursorAfterIt) {
  EXPECT_EQ(ToEventStream(*BatchOf({3, 5}, 9), store_, EventData::kEvent),
            absl::StrCat("id: ", CursorAt(3), "\ndata: ", EventJson(EventAt(3)),
                         "\n\nid: ", CursorAt(9),
                         "\ndata: ", EventJson(EventAt(5)), "\n\n"));
}

TEST_F(ToEventStreamTest, AHeartbeatIsAnIdAlone) {
  EXPECT_EQ(ToEventStream(*BatchOf({}, 9), store_, EventData::kEvent),
            absl::StrCat("id: ", CursorAt(9), "\n\n"));
}

TEST_F(ToEventStreamTest, CloudEventsAreFramedAlike) {
  EXPECT_EQ(ToEventStream(*BatchOf({3}, 3), store_, EventData::kCloudEvent),
            absl::StrCat("id: ", CursorAt(3),
                         "\ndata: ", CloudEventJson(EventAt(3)), "\n\n"));
}

TEST_F(ToEventStreamTest, AProblemIsAnEventOfItsOwnName) {
  EXPECT_EQ(ToEventStream(ProblemResponse(410, "Gone by.")),
            "event: error\ndata: {\"type\":\"about:blank\",\"title\":\"Gone\","
            "\"status\":410,\"detail\":\"Gone by.\"}\n\n");
}

}  // namespace
}  // namespace waggle
