#include "event/event_json.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/fakes/from_text.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The members of a JSON object.
google::protobuf::Struct ParseJson(const std::string& json) {
  google::protobuf::Struct parsed;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json, &parsed);
  EXPECT_TRUE(status.ok()) << json;
  return parsed;
}

const char* const kEvent = R"(
    id: '01990000-0000-7000-8000-000000000001' sequence: 18446744073709551615
    type: EVENT_TYPE_SYNC_COMPLETED type_name: 'connector_synced'
    endpoint: 'bindbee' received_at { seconds: 1750000000 nanos: 500000000 }
    connector { id: 'c-1' org_name: "line\nbreak\r" } payload: '\x00\xff'
    traceparent: '00-aa-bb-01')";

TEST(EventJsonTest, IsTheProtosJsonOnOneLine) {
  const std::string json = EventJson(FromText<v1::Event>(kEvent));
  EXPECT_THAT(json, Not(HasSubstr("\n")));
  EXPECT_THAT(json, Not(HasSubstr("\r")));
  EXPECT_THAT(json, HasSubstr(R"("sequence":"18446744073709551615")"));
  EXPECT_THAT(json, HasSubstr(R"("type":"EVENT_TYPE_SYNC_COMPLETED")"));
  EXPECT_THAT(json, HasSubstr(R"("typeName":"connector_synced")"));
  EXPECT_THAT(json, HasSubstr(R"("payload":"AP8=")"));
}

TEST(EventJsonTest, AnEventWithoutSuchAFormKeepsItsIdAndSequence) {
  v1::Event event = FromText<v1::Event>("id: 'x\"y' sequence: 7");
  event.mutable_received_at()->set_nanos(-1);
  EXPECT_EQ(EventJson(event), R"({"id":"x\"y","sequence":"7"})");
}

TEST(CloudEventJsonTest, MapsTheAttributesAsTheSchemaSays) {
  const auto fields =
      ParseJson(CloudEventJson(FromText<v1::Event>(kEvent))).fields();
  const auto text = [&fields](const char* name) {
    return fields.at(name).string_value();
  };
  EXPECT_EQ(text("specversion"), "1.0");
  EXPECT_EQ(text("id"), "01990000-0000-7000-8000-000000000001");
  EXPECT_EQ(text("source"), "/webhooks/bindbee");
  EXPECT_EQ(text("type"), "dev.bindbee.connector_synced");
  EXPECT_EQ(text("time"), "2025-06-15T15:06:40.500Z");
  EXPECT_EQ(text("subject"), "c-1");
  EXPECT_EQ(text("sequence"), "18446744073709551615");
  EXPECT_EQ(text("traceparent"), "00-aa-bb-01");
  EXPECT_EQ(text("datacontenttype"), "application/json");
  EXPECT_EQ(fields.size(), 10u);
}

TEST(CloudEventJsonTest, ItsDataIsTheEvent) {
  const v1::Event event = FromText<v1::Event>(kEvent);
  EXPECT_THAT(CloudEventJson(event),
              HasSubstr("\"data\":" + EventJson(event) + "}"));
}

// CloudEvents 1.0: names are lower-case letters and digits; id, source,
// specversion and type are there and not empty; what is optional is not empty.
TEST(CloudEventJsonTest, KeepsTheRulesHoweverLittleTheEventHolds) {
  for (const char* text : {"", "id: 'i'", "type_name: 'a b' endpoint: 'e'",
                           "connector {}", "received_at {}", kEvent}) {
    v1::Event event = FromText<v1::Event>(text);
    if (event.id().empty()) event.set_id("i");
    const auto fields = ParseJson(CloudEventJson(event)).fields();
    for (const char* required : {"id", "source", "specversion", "type"}) {
      ASSERT_TRUE(fields.contains(required)) << text;
    }
    for (const auto& [name, value] : fields) {
      EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"),
                std::string::npos)
          << name;
      if (name != "data") {
        EXPECT_NE(value.string_value(), "") << name;
      }
    }
  }
}

TEST(CloudEventJsonTest, TheSourceIsAUriReference) {
  const auto fields =
      ParseJson(
          CloudEventJson(FromText<v1::Event>("endpoint: 'a b/\\303\\251?%'")))
          .fields();
  EXPECT_EQ(fields.at("source").string_value(),
            "/webhooks/a%20b%2f%c3%a9%3f%25");
}

TEST(CloudEventJsonTest, ATimeOutOfRangeIsLeftOut) {
  v1::Event event;
  event.mutable_received_at()->set_nanos(-1);
  EXPECT_FALSE(ParseJson(CloudEventJson(event)).fields().contains("time"));
}

}  // namespace
}  // namespace waggle
