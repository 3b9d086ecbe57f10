#include "base/log.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simdjson.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  // The log is the process's: left as it was found.
  ~LogTest() override { ConfigureLog(LogLevel::kInfo, LogFormat::kText); }

  static std::string Captured(const std::function<void()>& log) {
    ::testing::internal::CaptureStderr();
    log();
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, TextIsOneLineOfNamesAndValues) {
  const std::string line = Captured([] {
    Log(LogLevel::kInfo, "webhook",
        {{"endpoint", "bindbee"},
         {"status", 200},
         {"duplicate", false},
         {"seconds", 0.25},
         {"negative", int64_t{-5}}});
  });
  EXPECT_THAT(line, MatchesRegex("[0-9-]+T[0-9:.]+Z info webhook "
                                 "endpoint=bindbee status=200 duplicate=false "
                                 "seconds=0.25 negative=-5\n"));
}

TEST_F(LogTest, TextValuesCannotForgeFieldsOrLines) {
  const std::string line = Captured([] {
    Log(LogLevel::kInfo, "webhook",
        {{"a", "x y=1"},
         {"b", "1\n2026 info forged"},
         {"c", ""},
         {"d", "\"\\\x7f"}});
  });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(line, HasSubstr(R"(a="x y=1" b="1\u000a2026 info forged" c="" )"
                              R"(d="\"\\\u007f")"));
}

TEST_F(LogTest, JsonIsOneObjectALine) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  const std::string value("quote \" back \\ line \n nul \0 é", 30);
  const std::string line = Captured([&value] {
    Log(LogLevel::kError, "webhook",
        {{"text", value}, {"count", 3}, {"ok", true}, {"seconds", 1.5}});
  });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.parse(line);
  EXPECT_EQ(std::string_view(json["level"]), "error");
  EXPECT_EQ(std::string_view(json["event"]), "webhook");
  EXPECT_EQ(std::string_view(json["text"]), value);
  EXPECT_EQ(int64_t(json["count"]), 3);
  EXPECT_EQ(bool(json["ok"]), true);
  EXPECT_EQ(double(json["seconds"]), 1.5);
  EXPECT_EQ(std::string_view(json["time"]).size(), 24u);
}

TEST_F(LogTest, JsonStaysJsonWhateverTheValues) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  const std::pair<std::string, std::string> kCases[] = {
      {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d",
       "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d"},
      {"cut \xe2\x82", "cut \ufffd\ufffd"},
      {"\xff\xfe", "\ufffd\ufffd"},
      {"overlong \xc0\xaf", "overlong \ufffd\ufffd"},
      {"overlong \xe0\x80\xaf", "overlong \ufffd\ufffd\ufffd"},
      {"surrogate \xed\xa0\x80", "surrogate \ufffd\ufffd\ufffd"},
      {"overlong \xf0\x80\x80\xaf", "overlong \ufffd\ufffd\ufffd\ufffd"},
      {"beyond \xf4\x90\x80\x80", "beyond \ufffd\ufffd\ufffd\ufffd"},
  };
  for (const auto& [value, logged] : kCases) {
    const std::string line = Captured([&value = value] {
      Log(LogLevel::kInfo, "x",
          {{"text", value},
           {"nan", std::numeric_limits<double>::quiet_NaN()},
           {"infinity", std::numeric_limits<double>::infinity()}});
    });
    simdjson::dom::parser parser;
    const simdjson::dom::element json = parser.parse(line);
    EXPECT_EQ(std::string_view(json["text"]), logged);
    EXPECT_TRUE(json["nan"].is_null());
    EXPECT_TRUE(json["infinity"].is_null());
  }
}

TEST_F(LogTest, WhatIsBelowTheLevelIsNotWritten) {
  EXPECT_THAT(Captured([] { Log(LogLevel::kDebug, "x"); }), IsEmpty());
  ConfigureLog(LogLevel::kWarn, LogFormat::kText);
  EXPECT_THAT(Captured([] { Log(LogLevel::kInfo, "x"); }), IsEmpty());
  EXPECT_THAT(Captured([] { Log(LogLevel::kWarn, "x"); }), HasSubstr("warn x"));
  ConfigureLog(LogLevel::kDebug, LogFormat::kText);
  EXPECT_THAT(Captured([] { Log(LogLevel::kDebug, "x"); }),
              HasSubstr("debug x"));
}

}  // namespace
}  // namespace waggle
