#include "http/event_query.h"

#include <string>
#include <vector>

#include "api/errors.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The request of a query as text, which a test compares.
std::string Request(std::string_view query, std::string_view last_id = "") {
  const auto request = ParseEventQuery(query, last_id);
  if (!request.ok()) return request.status().ToString();
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(*request, &text);
  if (!text.empty()) text.pop_back();
  return text;
}

std::vector<std::string> WrongParameters(std::string_view query) {
  std::vector<std::string> parameters;
  const auto request = ParseEventQuery(query, "");
  const auto bad = DetailOf<google::rpc::BadRequest>(request.status());
  if (!bad.has_value()) return parameters;
  for (const auto& violation : bad->field_violations()) {
    EXPECT_NE(violation.description(), "");
    parameters.push_back(violation.field());
  }
  return parameters;
}

TEST(EventQueryTest, NothingAsksForEverythingFromNowOn) {
  EXPECT_EQ(Request(""), "");
  EXPECT_EQ(Request("&&"), "");
}

TEST(EventQueryTest, EveryFieldOfAFilterHasAParameter) {
  EXPECT_EQ(
      Request("type=sync_completed&type=EVENT_TYPE_SYNC_FAILED&"
              "type_name=a&connector_id=b&origin_id=c&integration_slug=d&"
              "category=hris&model=e&sync_type=Manual&"
              "connector_status=relink-needed&endpoint=f&endpoint=g"),
      "filters { types: EVENT_TYPE_SYNC_COMPLETED "
      "types: EVENT_TYPE_SYNC_FAILED type_names: \"a\" connector_ids: \"b\" "
      "origin_ids: \"c\" integration_slugs: \"d\" categories: CATEGORY_HRIS "
      "models: \"e\" sync_types: SYNC_TYPE_MANUAL "
      "connector_statuses: CONNECTOR_STATUS_RELINK_NEEDED endpoints: \"f\" "
      "endpoints: \"g\" }");
}

TEST(EventQueryTest, StartsWhereItIsTold) {
  EXPECT_EQ(Request("from=earliest"), "position: START_POSITION_EARLIEST");
  EXPECT_EQ(Request("from=latest"), "position: START_POSITION_LATEST");
  EXPECT_EQ(Request("from=2025-01-31T08:00:00Z"),
            "since { seconds: 1738310400 }");
  EXPECT_EQ(Request("from=2025-01-31T09:00:00%2B01:00"),
            "since { seconds: 1738310400 }");
  EXPECT_EQ(Request("after=abc"), "after_cursor: \"abc\"");
  // An empty cursor is wrong, and found so by whoever reads cursors.
  EXPECT_EQ(Request("after="), "after_cursor: \"\"");
}

TEST(EventQueryTest, TheLastEventIdWins) {
  EXPECT_EQ(Request("from=earliest", "id"), "after_cursor: \"id\"");
  EXPECT_EQ(Request("after=abc", "id"), "after_cursor: \"id\"");
  EXPECT_EQ(Request("after=abc", ""), "after_cursor: \"abc\"");
}

TEST(EventQueryTest, TakesOptions) {
  EXPECT_EQ(Request("include_payload=true&stop_when_caught_up=true&"
                    "heartbeat_interval=1.5"),
            "stop_when_caught_up: true include_payload: true "
            "heartbeat_interval { seconds: 1 nanos: 500000000 }");
  EXPECT_EQ(Request("include_payload=false&stop_when_caught_up=false"), "");
}

TEST(EventQueryTest, DecodesNamesAndValues) {
  EXPECT_EQ(Request("%6Fri%67in_id=a%20b+c%26d%3de"),
            "filters { origin_ids: \"a b c&d=e\" }");
  EXPECT_EQ(Request("origin_id=a=b"), "filters { origin_ids: \"a=b\" }");
  EXPECT_EQ(Request("origin_id=%C3%A9"),
            "filters { origin_ids: \"\\303\\251\" }");
}

TEST(EventQueryTest, NamesEveryParameterThatIsWrong) {
  EXPECT_THAT(WrongParameters("type=nonsense&origin_id=&category=x&nope=1"),
              ElementsAre("type", "origin_id", "category", "nope"));
  EXPECT_THAT(WrongParameters("type=unspecified"), ElementsAre("type"));
  EXPECT_THAT(WrongParameters("type="), ElementsAre("type"));
  EXPECT_THAT(WrongParameters("from=yesterday"), ElementsAre("from"));
  EXPECT_THAT(WrongParameters("from="), ElementsAre("from"));
  EXPECT_THAT(WrongParameters("from=latest&after=x"), ElementsAre("after"));
  EXPECT_THAT(WrongParameters("from=latest&from=latest"), ElementsAre("from"));
  EXPECT_THAT(WrongParameters("include_payload=yes"),
              ElementsAre("include_payload"));
  EXPECT_THAT(WrongParameters("stop_when_caught_up"),
              ElementsAre("stop_when_caught_up"));
  for (const char* seconds : {"", "x", "-1", "nan", "inf", "1e300"}) {
    EXPECT_THAT(WrongParameters(std::string("heartbeat_interval=") + seconds),
                ElementsAre("heartbeat_interval"))
        << seconds;
  }
}

TEST(EventQueryTest, RefusesWhatIsNotPercentEncodedUtf8) {
  for (const char* value : {"%", "%4", "%zz", "%ff", "%C3", "a%00%c0%80"}) {
    EXPECT_THAT(WrongParameters(std::string("model=") + value),
                ElementsAre("model"))
        << value;
  }
  // Names too, of which it tells what can be written.
  EXPECT_THAT(WrongParameters("mod\xff=a&%ff=a"),
              ElementsAre("mod\\xff", "%ff"));
}

TEST(EventQueryTest, SaysWhichValuesThereAre) {
  EXPECT_THAT(Request("sync_type=x"), HasSubstr("automated, manual"));
  EXPECT_THAT(Request("nope=x"), HasSubstr("connector_status"));
}

TEST(EventQueryTest, FieldsOfTheRequestHaveTheirParametersNames) {
  EXPECT_EQ(ParameterOf("filters[0].types[1]"), "type");
  EXPECT_EQ(ParameterOf("filters[0].connector_statuses"), "connector_status");
  EXPECT_EQ(ParameterOf("since"), "from");
  EXPECT_EQ(ParameterOf("after_cursor"), "after");
  EXPECT_EQ(ParameterOf("heartbeat_interval"), "heartbeat_interval");
  EXPECT_EQ(ParameterOf("filters"), "filters");
}

}  // namespace
}  // namespace waggle
