#include "ingest/trace_context.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"

namespace waggle {
namespace {

using ::testing::MatchesRegex;

constexpr std::string_view kValid =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr char kNew[] = "00-[0-9a-f]{32}-[0-9a-f]{16}-01";

// kValid with other text from `at` on.
std::string With(size_t at, std::string_view text) {
  std::string value(kValid);
  return value.replace(at, text.size(), text);
}

TEST(TraceContext, KeepsAValidOneAsItIs) {
  EXPECT_EQ(ParseTraceparent(kValid), kValid);
  for (const char* flags : {"00", "01", "03", "fe", "ff"}) {
    const std::string value = With(53, flags);
    EXPECT_EQ(ParseTraceparent(value), value);
    EXPECT_EQ(TraceparentOf({value}), value);
  }
}

TEST(TraceContext, RefusesWhatTheSpecificationDoes) {
  for (const std::string& value : {
           std::string(),
           std::string(kValid.substr(0, 54)),
           std::string(kValid) + "-",  // 00 ends there
           std::string(kValid) + "-00",
           std::string(kValid) + " ",
           " " + std::string(kValid),
           With(0, "ff"),  // no version
           With(0, "0A"),
           With(2, "_"),
           With(35, "_"),
           With(52, "_"),
           With(3, std::string(32, '0')),   // no trace
           With(36, std::string(16, '0')),  // no parent
           With(3, "0AF"),                  // upper case
           With(3, "0xg"),
           With(36, "B7"),
           With(53, "0g"),
           With(53, "0F"),
           With(10, std::string(1, '\0')),
       }) {
    EXPECT_EQ(ParseTraceparent(value), std::nullopt) << value;
  }
}

TEST(TraceContext, TakesOfALaterVersionWhatThisOneKnows) {
  const std::string known(kValid);
  EXPECT_EQ(ParseTraceparent(With(0, "01")), known);
  EXPECT_EQ(ParseTraceparent(With(0, "fe")), known);
  EXPECT_EQ(ParseTraceparent(With(0, "cc") + "-what-the-future-brings"), known);
  EXPECT_EQ(ParseTraceparent(With(0, "cc") + "-"), known);
  EXPECT_EQ(ParseTraceparent(With(0, "01").replace(53, 2, "09")), known);
  EXPECT_EQ(ParseTraceparent(With(0, "01").replace(53, 2, "fe")),
            With(53, "00"));
  EXPECT_EQ(ParseTraceparent(With(0, "cc") + "."), std::nullopt);
  EXPECT_EQ(ParseTraceparent(With(0, "cc") + "00"), std::nullopt);
}

TEST(TraceContext, MakesOneForWhatBringsNone) {
  const std::vector<std::vector<std::string_view>> none = {
      {}, {""}, {"nonsense"}, {kValid, kValid}, {kValid, ""}};
  for (const auto& values : none) {
    const std::string made = TraceparentOf(values);
    EXPECT_THAT(made, MatchesRegex(kNew));
    EXPECT_EQ(ParseTraceparent(made), made);
    EXPECT_NE(made.substr(0, 35), kValid.substr(0, 35));
    EXPECT_NE(made, TraceparentOf(values));
  }
}

TEST(TraceContext, NamesTheTrace) {
  EXPECT_EQ(TraceIdOf(kValid), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(TraceIdOf(""), "");
}

RC_GTEST_PROP(TraceContextProperty, WhatIsTakenIsValidInVersion00,
              (std::string bytes)) {
  // Often nearly valid.
  std::string value(kValid);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t at = static_cast<unsigned char>(bytes[i]) % 64;
    if (at < value.size()) {
      value[at] = i % 2 == 0 ? '0' : bytes[i];
    } else {
      value.push_back(bytes[i]);
    }
  }
  const std::string made = TraceparentOf({value});
  RC_ASSERT(made.size() == kValid.size());
  RC_ASSERT(ParseTraceparent(made) == made);
  RC_ASSERT(TraceIdOf(made).size() == 32u);
  RC_ASSERT(!ParseTraceparent(bytes) || bytes.size() >= kValid.size());
}

}  // namespace
}  // namespace waggle
