#include "bindbee/decoder.h"

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "bindbee/samples.h"
#include "event/event_types.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "google/protobuf/util/time_util.h"
#include "gtest/gtest.h"
#include "tests/fakes/read_file.h"

namespace waggle {
namespace {

using ::google::protobuf::TextFormat;
using ::google::protobuf::util::MessageDifferencer;
using ::google::protobuf::util::TimeUtil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Equal messages, told apart field by field.
void ExpectProto(const google::protobuf::Message& actual,
                 const std::string& expected_text) {
  std::unique_ptr<google::protobuf::Message> expected(actual.New());
  ASSERT_TRUE(TextFormat::ParseFromString(expected_text, expected.get()));
  std::string differences;
  MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  EXPECT_TRUE(differencer.Compare(*expected, actual)) << differences;
}

// What every decoded event must be, whatever it was made of: of bounded size,
// and readable by a consumer with protobuf's default limits.
void ExpectDeliverable(const v1::Event& event) {
  const std::string bytes = event.SerializeAsString();
  EXPECT_LE(bytes.size(), kMaxEventBytes);
  v1::Event parsed;
  EXPECT_TRUE(parsed.ParseFromString(bytes));
}

// A body of the event with that JSON as its data.
std::string Body(std::string_view event, std::string_view data,
                 std::string_view more = "") {
  return absl::StrCat(R"({"webhook":{"event":")", AsAbsl(event),
                      R"("},"data":)", AsAbsl(data), AsAbsl(more), "}");
}

std::string Repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out.append(text);
  return out;
}

// A JSON object of that many levels, of objects or of arrays below the first.
std::string Nested(std::string_view open, std::string_view close, int levels) {
  return R"({"k":)" + Repeat(open, levels - 1) + "1" +
         Repeat(close, levels - 1) + "}";
}

// --- The samples: every shape that Bindbee documents. ---

class SampleTest : public ::testing::TestWithParam<Sample> {};

TEST_P(SampleTest, DecodesToTheExpectedEvent) {
  const v1::Event event = Decode(GetParam().body);
  ExpectProto(event, ReadFile(std::string(WAGGLE_TESTDATA "/") +
                              std::string(GetParam().name) + ".textproto"));
  ExpectDeliverable(event);
}

INSTANTIATE_TEST_SUITE_P(
    All, SampleTest, ::testing::ValuesIn(Samples().begin(), Samples().end()),
    [](const auto& info) { return std::string(info.param.name); });

// --- Bodies that cannot be read. ---

struct Unreadable {
  const char* name;
  std::string body;
};

class UnreadableTest : public ::testing::TestWithParam<Unreadable> {};

TEST_P(UnreadableTest, IsKeptAsUnrecognizedWithTheProblem) {
  const v1::Event event = Decode(GetParam().body);
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_UNSPECIFIED);
  EXPECT_THAT(event.type_name(), IsEmpty());
  EXPECT_TRUE(event.has_unrecognized());
  EXPECT_THAT(event.unrecognized().problem(), Not(IsEmpty()));
  EXPECT_THAT(event.unrecognized().problem(), Not(HasSubstr("PRIVATE")));
  ExpectDeliverable(event);
}

INSTANTIATE_TEST_SUITE_P(
    All, UnreadableTest,
    ::testing::Values(
        Unreadable{"Empty", ""}, Unreadable{"WhiteSpace", " \r\n\t "},
        Unreadable{"ByteOrderMarkAlone", "\xef\xbb\xbf"},
        Unreadable{"Text", "PRIVATE"}, Unreadable{"Form", "a=1&b=PRIVATE"},
        Unreadable{"Number", "17"}, Unreadable{"String", R"("PRIVATE")"},
        Unreadable{"Null", "null"}, Unreadable{"Array", R"(["PRIVATE"])"},
        Unreadable{"Truncated", R"({"webhook":{"event":"PRIVATE)"},
        Unreadable{"TrailingText", R"({"webhook":{"event":"x"}} PRIVATE)"},
        Unreadable{"TwoDocuments", R"({} {})"},
        Unreadable{"SingleQuotes", R"({'webhook':{'event':'PRIVATE'}})"},
        Unreadable{"NotUtf8", "{\"webhook\":{\"event\":\"PRIVATE\xff\"}}"},
        Unreadable{"OverlongUtf8", "{\"webhook\":{\"event\":\"\xc0\xaf\"}}"},
        Unreadable{"Utf16", std::string("{\0\"\0a\0\"\0:\0001\0}\0", 14)},
        Unreadable{"RawNul", std::string("{\"webhook\":\0}", 13)},
        Unreadable{"BadEscape", R"({"webhook":{"event":"\x"}})"},
        Unreadable{"CutSurrogateEscape", R"({"webhook":{"event":"\ud8)"},
        Unreadable{"NumberBeyondFloatingPoint",
                   R"({"webhook":{"event":"x"},"data":1e999})"},
        Unreadable{"EndlessNesting", Repeat("[", 100'000)},
        Unreadable{"EndlessObjects", Repeat(R"({"a":)", 100'000)},
        Unreadable{"BalancedDeepNesting",
                   Repeat("[", 50'000) + Repeat("]", 50'000)}),
    [](const auto& info) { return info.param.name; });

class NamelessTest : public ::testing::TestWithParam<Unreadable> {};

TEST_P(NamelessTest, KeepsWhatElseTheBodyTells) {
  const v1::Event event = Decode(GetParam().body);
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_UNSPECIFIED);
  EXPECT_THAT(event.type_name(), IsEmpty());
  EXPECT_EQ(event.connector().id(), "c1");
  EXPECT_EQ(event.unrecognized().problem(),
            "the body names no event (webhook.event)");
  EXPECT_EQ(event.unrecognized().data().fields().at("k").number_value(), 1);
}

std::string Nameless(std::string_view webhook) {
  return absl::StrCat("{", AsAbsl(webhook),
                      R"("connector":{"id":"c1"},"data":{"k":1}})");
}

INSTANTIATE_TEST_SUITE_P(
    All, NamelessTest,
    ::testing::Values(
        Unreadable{"NoWebhook", Nameless("")},
        Unreadable{"WebhookNull", Nameless(R"("webhook":null,)")},
        Unreadable{"WebhookText", Nameless(R"("webhook":"event",)")},
        Unreadable{"WebhookList", Nameless(R"("webhook":[{"event":"x"}],)")},
        Unreadable{"EventAbsent", Nameless(R"("webhook":{"url":"u"},)")},
        Unreadable{"EventEmpty", Nameless(R"("webhook":{"event":""},)")},
        Unreadable{"EventNull", Nameless(R"("webhook":{"event":null},)")},
        Unreadable{"EventNumber", Nameless(R"("webhook":{"event":5},)")},
        Unreadable{"EventOutside", Nameless(R"("event":"connector_synced",)")}),
    [](const auto& info) { return info.param.name; });

// --- Known events whose data is not what it should be. ---

struct WrongData {
  const char* name;
  const char* event;
  v1::EventType type;
  std::string data;
  const char* problem;
};

class WrongDataTest : public ::testing::TestWithParam<WrongData> {};

TEST_P(WrongDataTest, KeepsTheTypeAndTellsTheProblem) {
  const v1::Event event = Decode(
      Body(GetParam().event, GetParam().data, R"(,"sync":{"sync_id":"s1"})"));
  EXPECT_EQ(event.type(), GetParam().type);
  EXPECT_EQ(event.type_name(), GetParam().event);
  EXPECT_EQ(event.sync().id(), "s1");
  ASSERT_TRUE(event.has_unrecognized()) << event.DebugString();
  EXPECT_THAT(event.unrecognized().problem(), HasSubstr(GetParam().problem));
  EXPECT_THAT(event.unrecognized().problem(), Not(HasSubstr("PRIVATE")));
  ExpectDeliverable(event);
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongDataTest,
    ::testing::Values(
        WrongData{"StartedList", "connector_sync_started",
                  v1::EVENT_TYPE_SYNC_STARTED, R"(["PRIVATE"])",
                  "data is not an object"},
        WrongData{"CompletedText", "connector_synced",
                  v1::EVENT_TYPE_SYNC_COMPLETED, R"("PRIVATE")",
                  "data is not an object"},
        WrongData{"CompletedNull", "connector_synced",
                  v1::EVENT_TYPE_SYNC_COMPLETED, "null",
                  "data is not an object"},
        WrongData{"FailedNumber", "connector_sync_error",
                  v1::EVENT_TYPE_SYNC_FAILED, "1", "data is not an object"},
        WrongData{"FailedWithNothing", "connector_sync_error",
                  v1::EVENT_TYPE_SYNC_FAILED, "null", "data is not an object"},
        WrongData{"EmployeesObject", "employee_data_changed",
                  v1::EVENT_TYPE_EMPLOYEES_CHANGED, R"({"k":"PRIVATE"})",
                  "data is not a list of strings"},
        WrongData{"EmployeesNull", "employee_data_changed",
                  v1::EVENT_TYPE_EMPLOYEES_CHANGED, "null",
                  "data is not a list of strings"},
        WrongData{"EmployeesNumbers", "employee_data_changed",
                  v1::EVENT_TYPE_EMPLOYEES_CHANGED, R"(["PRIVATE",7])",
                  "data is not a list of strings"},
        WrongData{"EmployeesWithNull", "employee_data_changed",
                  v1::EVENT_TYPE_EMPLOYEES_CHANGED, R"(["PRIVATE",null])",
                  "data is not a list of strings"},
        WrongData{"ModifiedText", "connector_data_modified",
                  v1::EVENT_TYPE_DATA_MODIFIED, R"("PRIVATE")",
                  "data is neither an object of lists"},
        WrongData{"ModifiedTrue", "connector_data_modified",
                  v1::EVENT_TYPE_DATA_MODIFIED, R"({"hris_employment":true})",
                  "data is neither an object of lists"},
        WrongData{"ModifiedRecords", "connector_data_modified",
                  v1::EVENT_TYPE_DATA_MODIFIED,
                  R"({"hris_employment":[{"id":"PRIVATE"}]})",
                  "data is neither an object of lists"},
        WrongData{"ModifiedListOfNumbers", "connector_data_modified",
                  v1::EVENT_TYPE_DATA_MODIFIED, R"(["PRIVATE",1])",
                  "data is neither an object of lists"}),
    [](const auto& info) { return info.param.name; });

TEST(DecoderTest, WrongDataThatIsAnObjectIsGivenAsItIs) {
  const v1::Event event =
      Decode(Body("employee_data_changed", R"({"ids":["e1"]})"));
  ExpectProto(event.unrecognized(), R"pb(
    data {
      fields {
        key: "ids"
        value { list_value { values { string_value: "e1" } } }
      }
    }
    problem: "data is not a list of strings"
  )pb");
}

TEST(DecoderTest, KnownEventWithoutDataIsUnrecognized) {
  const v1::Event event = Decode(R"({"webhook":{"event":"connector_synced"}})");
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_SYNC_COMPLETED);
  EXPECT_EQ(event.unrecognized().problem(), "data is not an object");
}

// --- Shapes beyond the samples. ---

TEST(DecoderTest, DataModifiedMayBeABareList) {
  const v1::Event event =
      Decode(Body("connector_data_modified", R"(["r1","r2"])"));
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_DATA_MODIFIED);
  EXPECT_THAT(event.data_modified().record_ids(), ElementsAre("r1", "r2"));
  EXPECT_EQ(event.data_modified().changes_size(), 0);
}

TEST(DecoderTest, DataModifiedKeepsEveryModelInOrder) {
  const v1::Event event =
      Decode(Body("connector_data_modified",
                  R"({"z":["1"],"a":[],"n":null,"":[""],"z":["2"]})"));
  ExpectProto(event.data_modified(), R"pb(
    changes { model: "z" record_ids: "1" }
    changes { model: "a" }
    changes { model: "n" }
    changes { model: "" record_ids: "" }
    changes { model: "z" record_ids: "2" }
  )pb");
}

TEST(DecoderTest, EmptyListsAreKnownShapes) {
  EXPECT_TRUE(
      Decode(Body("employee_data_changed", "[]")).has_employees_changed());
  EXPECT_TRUE(
      Decode(Body("connector_data_modified", "[]")).has_data_modified());
  EXPECT_TRUE(
      Decode(Body("connector_data_modified", "{}")).has_data_modified());
}

TEST(DecoderTest, FailureWithoutTheSyncsStateIsAFailure) {
  const v1::Event event =
      Decode(Body("connector_sync_error", "null",
                  R"(,"error":{"message":"m","detail":{"code":5}})"));
  ASSERT_TRUE(event.has_sync_failure());
  EXPECT_FALSE(event.sync_failure().has_status());
  EXPECT_EQ(event.sync_failure().message(), "m");
  EXPECT_EQ(event.sync_failure().detail().fields().at("code").number_value(),
            5);
}

TEST(DecoderTest, FailureWithoutErrorIsAFailure) {
  for (const char* error : {"", R"(,"error":null)", R"(,"error":"text")"}) {
    const v1::Event event =
        Decode(Body("connector_sync_error", R"({"id":"d1"})", error));
    EXPECT_EQ(event.sync_failure().status().id(), "d1") << error;
    EXPECT_THAT(event.sync_failure().message(), IsEmpty()) << error;
    EXPECT_FALSE(event.sync_failure().has_failed_at()) << error;
    EXPECT_FALSE(event.sync_failure().has_detail()) << error;
  }
}

TEST(DecoderTest, HookCountsOnlyWithoutWebhook) {
  EXPECT_EQ(
      Decode(R"({"hook":{"event":"a"},"webhook":{"event":"b"}})").type_name(),
      "b");
  EXPECT_EQ(Decode(R"({"hook":{"event":"a"},"webhook":null})").type_name(),
            "a");
}

TEST(DecoderTest, MembersOfAWrongTypeAreAbsent) {
  const v1::Event event = Decode(R"({
    "webhook": {"event": "connector_synced", "webhook_id": 1, "url": []},
    "connector": {"id": {}, "display_name": null, "categories": "HRIS",
                  "org_name": true, "origin_id": "o1", "connector_status": 0,
                  "end_user_name": 5, "end_user_email": []},
    "sync": {"sync_id": 1, "sync_type": null, "sync_name": 13},
    "data": {"id": null, "integration_name": 1, "category": ["HRIS"],
             "display_status": {}, "last_sync_start_time": 1789351203}})");
  ExpectProto(event, R"pb(
    type: EVENT_TYPE_SYNC_COMPLETED
    type_name: "connector_synced"
    webhook {}
    connector { origin_id: "o1" }
    sync {}
    sync_status {}
  )pb");
}

TEST(DecoderTest, EnvelopePartsOfAWrongTypeAreAbsent) {
  const v1::Event event = Decode(
      R"({"webhook":{"event":"x"},"connector":"c","sync":[],"data":{}})");
  EXPECT_FALSE(event.has_connector());
  EXPECT_FALSE(event.has_sync());
}

TEST(DecoderTest, CategoriesStayBesideTheirNames) {
  const v1::Event event = Decode(
      R"({"connector":{"categories":["LMS","hris",null,"","ATS",1,"HRIS"]}})");
  EXPECT_THAT(event.connector().category_names(),
              ElementsAre("LMS", "hris", "", "ATS", "HRIS"));
  EXPECT_THAT(event.connector().categories(),
              ElementsAre(v1::CATEGORY_LMS, v1::CATEGORY_UNSPECIFIED,
                          v1::CATEGORY_UNSPECIFIED, v1::CATEGORY_ATS,
                          v1::CATEGORY_HRIS));
}

TEST(DecoderTest, PersonalDataIsAbsentOnlyIfNotSent) {
  const v1::Event sent =
      Decode(R"({"connector":{"end_user_name":"","end_user_email":"a@b"}})");
  EXPECT_TRUE(sent.connector().has_end_user_name());
  EXPECT_EQ(sent.connector().end_user_email(), "a@b");
  const v1::Event unsent = Decode(R"({"connector":{"end_user_name":null}})");
  EXPECT_FALSE(unsent.connector().has_end_user_name());
  EXPECT_FALSE(unsent.connector().has_end_user_email());
}

TEST(DecoderTest, EveryDocumentedEnumValueIsKnown) {
  for (const auto& [name, status] :
       {std::pair{"COMPLETE", v1::CONNECTOR_STATUS_COMPLETE},
        {"INCOMPLETE", v1::CONNECTOR_STATUS_INCOMPLETE},
        {"RELINK_NEEDED", v1::CONNECTOR_STATUS_RELINK_NEEDED},
        {"NEW", v1::CONNECTOR_STATUS_UNSPECIFIED}}) {
    const v1::Event event = Decode(
        absl::StrCat(R"({"connector":{"connector_status":")", name, R"("}})"));
    EXPECT_EQ(event.connector().status(), status);
    EXPECT_EQ(event.connector().status_name(), name);
  }
  for (const auto& [name, type] :
       {std::pair{"AUTOMATED", v1::SYNC_TYPE_AUTOMATED},
        {"MANUAL", v1::SYNC_TYPE_MANUAL},
        {"manual", v1::SYNC_TYPE_UNSPECIFIED}}) {
    const v1::Event event =
        Decode(absl::StrCat(R"({"sync":{"sync_type":")", name, R"("}})"));
    EXPECT_EQ(event.sync().type(), type);
    EXPECT_EQ(event.sync().type_name(), name);
  }
  for (const auto& [name, status] :
       {std::pair{"Syncing", v1::DISPLAY_STATUS_SYNCING},
        {"Done", v1::DISPLAY_STATUS_DONE},
        {"Failed", v1::DISPLAY_STATUS_FAILED},
        {"Paused", v1::DISPLAY_STATUS_UNSPECIFIED}}) {
    const v1::Event event =
        Decode(Body("connector_synced",
                    absl::StrCat(R"({"display_status":")", name, R"("})")));
    EXPECT_EQ(event.sync_status().display_status(), status);
    EXPECT_EQ(event.sync_status().display_status_name(), name);
  }
}

TEST(DecoderTest, EveryEventTypeOfTheApiHasAName) {
  EXPECT_EQ(EventTypeNames().size() + 1,
            static_cast<size_t>(v1::EventType_descriptor()->value_count()));
  for (const auto& [type, name] : EventTypeNames()) {
    EXPECT_EQ(Decode(Body(name, "{}")).type(), type);
  }
}

// --- Values. ---

TEST(DecoderTest, SyncNumberIsTheNumberInTheName) {
  const std::pair<const char*, uint32_t> cases[] = {
      {"#13", 13},
      {"#1", 1},
      {"13", 13},
      {"#007", 7},
      {"#4294967295", 4294967295},
      {"#4294967296", 0},
      {"#99999999999999999999999", 0},
      {"", 0},
      {"#", 0},
      {"##1", 0},
      {"#-1", 0},
      {"#+1", 0},
      {"# 1", 0},
      {"#1 ", 0},
      {"#1a", 0},
      {"#1.0", 0},
      {"#0x10", 0},
      {"Sync #1", 0},
      {"#\\u0031", 1},
      {"#1\\u0000", 0},
      {"#\u0661", 0},
  };
  for (const auto& [name, number] : cases) {
    const v1::Event event =
        Decode(absl::StrCat(R"({"sync":{"sync_name":")", name, R"("}})"));
    EXPECT_EQ(event.sync().number(), number) << name;
  }
}

TEST(DecoderTest, TimesAreRfc3339WithAnyOffsetAndPrecision) {
  const std::pair<const char*, const char*> cases[] = {
      {"2026-09-14T02:00:03.118204+00:00", "2026-09-14T02:00:03.118204Z"},
      {"2026-09-14T02:00:03Z", "2026-09-14T02:00:03Z"},
      {"2026-09-14T02:00:03.000000001Z", "2026-09-14T02:00:03.000000001Z"},
      {"2026-09-14T07:30:03.5+05:30", "2026-09-14T02:00:03.500Z"},
      {"2026-09-13T18:00:03-08:00", "2026-09-14T02:00:03Z"},
      {"2026-09-14t02:00:03z", "2026-09-14T02:00:03Z"},
      {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
      {"2026-09-14T02:00:03.0000000019Z", "2026-09-14T02:00:03.000000001Z"},
      {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
      {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
      {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
  };
  for (const auto& [sent, expected] : cases) {
    const v1::Event event = Decode(
        Body("connector_synced",
             absl::StrCat(R"({"last_sync_start_time":")", sent, R"("})")));
    ASSERT_TRUE(event.sync_status().has_last_sync_start_time()) << sent;
    EXPECT_EQ(TimeUtil::ToString(event.sync_status().last_sync_start_time()),
              expected);
  }
}

TEST(DecoderTest, OtherTimesAreAbsent) {
  for (const char* sent : {"",
                           "now",
                           "infinite-future",
                           "1789351203",
                           "2026-09-14",
                           "2026-09-14T02:00:03",
                           "2026-09-14 02:00:03Z",
                           "2026-13-14T02:00:03Z",
                           "2026-02-29T02:00:03Z",
                           "2026-09-14T25:00:03Z",
                           "2026-09-14T02:61:03Z",
                           "2026-09-14T02:00:03+99:00",
                           "2026-09-14T02:00:03ZZ",
                           "2026-09-14T02:00:03.Z",
                           " 2026-09-14T02:00:03Z",
                           "10000-01-01T00:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "0001-01-01T00:00:00+01:00",
                           "9999-12-31T23:59:59-01:00",
                           "-2026-09-14T02:00:03Z",
                           "2026-09-14T02:00:03Z\\u0000",
                           "99999999999999999999-01-01T00:00:00Z"}) {
    const v1::Event event = Decode(
        Body("connector_synced",
             absl::StrCat(R"({"last_sync_start_time":")", sent, R"("})")));
    EXPECT_TRUE(event.has_sync_status());
    EXPECT_FALSE(event.sync_status().has_last_sync_start_time())
        << sent << " became " << event.DebugString();
  }
}

TEST(DecoderTest, TextsKeepNulAndEverythingElseThatUtf8Holds) {
  const v1::Event event =
      Decode(R"({"webhook":{"event":"a\u0000b\u00e9\ud83d\ude00\n\"\/"}})");
  EXPECT_EQ(event.type_name(), std::string("a\0bé😀\n\"/", 12));
  ExpectDeliverable(event);
}

TEST(DecoderTest, LoneSurrogatesBecomeReplacementCharacters) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(\ud800)", "\uFFFD"},
      {R"(\udc00)", "\uFFFD"},
      {R"(\uDBFFx)", "\uFFFDx"},
      {R"(\udc00\ud800)", "\uFFFD\uFFFD"},
      {R"(\ud800\ud83d\ude00)", "\uFFFD😀"},
      {R"(\ud800\n)", "\uFFFD\n"},
      {R"(\ud800\ue000)", "\uFFFD\ue000"},
      {R"(\\ud800\ud800)", R"(\ud800)"
                           "\uFFFD"},
      {R"(\"\ud800\"1234567890123456789012)",
       "\"\uFFFD\"1234567890123456789012"},
  };
  for (const auto& [escaped, expected] : cases) {
    const v1::Event event = Decode(
        Body("connector_sync_error", "{}",
             absl::StrCat(R"(,"error":{"message":")", escaped, R"("})")));
    EXPECT_EQ(event.type(), v1::EVENT_TYPE_SYNC_FAILED) << escaped;
    EXPECT_EQ(event.sync_failure().message(), expected) << escaped;
    ExpectDeliverable(event);
  }
}

TEST(DecoderTest, IntegersBeyond64BitsBecomeFloatingPoint) {
  const v1::Event event = Decode(Body(
      "new",
      R"({"a":123456789012345678901234567890,"b":-99999999999999999999,)"
      R"("c":18446744073709551615,"d":"123456789012345678901","e":-1.5e3})"));
  EXPECT_EQ(event.type_name(), "new");
  EXPECT_THAT(event.unrecognized().problem(), IsEmpty());
  const auto& fields = event.unrecognized().data().fields();
  EXPECT_EQ(fields.at("a").number_value(), 123456789012345678901234567890.0);
  EXPECT_EQ(fields.at("b").number_value(), -99999999999999999999.0);
  EXPECT_EQ(fields.at("c").number_value(), 18446744073709551615.0);
  EXPECT_EQ(fields.at("d").string_value(), "123456789012345678901");
  EXPECT_EQ(fields.at("e").number_value(), -1500);
}

TEST(DecoderTest, LeadingZerosAreNoJsonHoweverLong) {
  EXPECT_THAT(
      Decode(Body("x", "00000000000000000000001")).unrecognized().problem(),
      HasSubstr("JSON"));
}

TEST(DecoderTest, TheLastOfSeveralMembersCounts) {
  const v1::Event event =
      Decode(R"({"webhook":{"event":"a"},"webhook":{"event":"b","event":"c"},)"
             R"("data":{"k":[1],"k":[2],"k":{"x":1},"k":{"y":[2]}}})");
  EXPECT_EQ(event.type_name(), "c");
  ExpectProto(event.unrecognized().data(), R"pb(
    fields {
      key: "k"
      value {
        struct_value {
          fields {
            key: "y"
            value { list_value { values { number_value: 2 } } }
          }
        }
      }
    }
  )pb");
  EXPECT_THAT(Decode(R"({"webhook":{"event":"a"},"webhook":null})").type_name(),
              IsEmpty());
}

TEST(DecoderTest, AByteOrderMarkIsSkipped) {
  const v1::Event event = Decode(
      absl::StrCat("\xef\xbb\xbf", Body("employee_data_changed", "[\"e\"]")));
  EXPECT_THAT(event.employees_changed().employee_ids(), ElementsAre("e"));
}

// --- Limits. ---

TEST(DecoderTest, UnknownDataThatIsNoObjectIsNotAProblem) {
  for (const char* data : {"null", "[1]", "1", "\"text\"", "true"}) {
    const v1::Event event = Decode(Body("new", data));
    ASSERT_TRUE(event.has_unrecognized()) << data;
    EXPECT_FALSE(event.unrecognized().has_data()) << data;
    EXPECT_THAT(event.unrecognized().problem(), IsEmpty()) << data;
  }
}

TEST(DecoderTest, DataIsGivenUpTo24Levels) {
  for (const auto& [open, close] :
       {std::pair{R"({"k":)", "}"}, std::pair{"[", "]"}}) {
    const v1::Event fits =
        Decode(Body("new", Nested(open, close, kMaxStructLevels)));
    EXPECT_TRUE(fits.unrecognized().has_data());
    EXPECT_THAT(fits.unrecognized().problem(), IsEmpty());
    ExpectDeliverable(fits);
    const v1::Event deeper =
        Decode(Body("new", Nested(open, close, kMaxStructLevels + 1)));
    EXPECT_EQ(deeper.type_name(), "new");
    EXPECT_FALSE(deeper.unrecognized().has_data());
    EXPECT_THAT(deeper.unrecognized().problem(), HasSubstr("too deep"));
  }
}

TEST(DecoderTest, DataIsGivenUpTo256KiBSerialised) {
  // A text of n bytes: n and what surrounds it.
  const auto data = [](size_t n) {
    return R"({"k":")" + std::string(n, 'x') + R"("})";
  };
  size_t largest = kMaxStructBytes;
  v1::Event event;
  do {
    event = Decode(Body("new", data(--largest)));
  } while (!event.unrecognized().has_data());
  EXPECT_EQ(event.unrecognized().data().ByteSizeLong(), kMaxStructBytes);
  event = Decode(Body("new", data(largest + 1)));
  EXPECT_FALSE(event.unrecognized().has_data());
  EXPECT_THAT(event.unrecognized().problem(), HasSubstr("too large"));
}

TEST(DecoderTest, DataThatBlowsUpIsLeftOut) {
  const std::string many = "[1" + Repeat(",1", 500'000) + "]";
  const v1::Event event = Decode(Body("new", R"({"k":)" + many + "}"));
  EXPECT_EQ(event.type_name(), "new");
  EXPECT_FALSE(event.unrecognized().has_data());
  ExpectDeliverable(event);

  const v1::Event failure =
      Decode(Body("connector_sync_error", "{}",
                  R"(,"error":{"message":"m","detail":{"k":)" + many + "}}"));
  EXPECT_EQ(failure.sync_failure().message(), "m");
  EXPECT_FALSE(failure.sync_failure().has_detail());
  ExpectDeliverable(failure);
}

TEST(DecoderTest, ABodyOfTheUsualLimitIsGivenWhole) {
  // Of all that fits into 1 MiB, lists of empty ids grow the most.
  const std::string ids = "[\"\"" + Repeat(",\"\"", 349'000) + "]";
  const v1::Event event = Decode(Body("employee_data_changed", ids));
  EXPECT_EQ(event.employees_changed().employee_ids_size(), 349'001);
  ExpectDeliverable(event);
}

TEST(DecoderTest, AnEventTooLargeForConsumersKeepsTheRest) {
  const std::string ids = "[\"" + std::string(kMaxEventBytes, 'x') + "\"]";
  const v1::Event event =
      Decode(Body("employee_data_changed", ids, R"(,"connector":{"id":"c1"})"));
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_EMPLOYEES_CHANGED);
  EXPECT_EQ(event.connector().id(), "c1");
  EXPECT_THAT(event.unrecognized().problem(), HasSubstr("too large"));
  ExpectDeliverable(event);
}

TEST(DecoderTest, AnEventTooLargeEvenWithoutDataKeepsItsType) {
  const std::string huge(kMaxEventBytes, 'x');
  const v1::Event known = Decode(
      Body("connector_synced", "{}", R"(,"sync":{"sync_id":")" + huge + "\"}"));
  EXPECT_EQ(known.type(), v1::EVENT_TYPE_SYNC_COMPLETED);
  EXPECT_EQ(known.type_name(), "connector_synced");
  EXPECT_THAT(known.unrecognized().problem(), HasSubstr("too large"));
  ExpectDeliverable(known);

  const v1::Event unknown = Decode(Body(huge, "{}"));
  EXPECT_EQ(unknown.type(), v1::EVENT_TYPE_UNSPECIFIED);
  EXPECT_THAT(unknown.unrecognized().problem(), HasSubstr("too large"));
  ExpectDeliverable(unknown);
}

TEST(DecoderTest, ALargeBodyLeavesNoTraceInTheNext) {
  const std::string large =
      Body("new", "\"" + std::string(1 << 20, 'x') + "\"");
  const std::string small = Body("employee_data_changed", R"(["e1"])");
  const std::string before = Decode(small).SerializeAsString();
  EXPECT_EQ(Decode(large).type_name(), "new");
  EXPECT_EQ(Decode(small).SerializeAsString(), before);
}

}  // namespace
}  // namespace waggle
