#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/json_string.h"
#include "base/strings.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace waggle {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};

spdlog::logger& Logger() {
  // Never destroyed, so that threads may log while the process ends.
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger(
        "waggle", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger;
}

// In text lines, such values are written as in JSON, so that none can forge a
// line.
bool NeedsQuotes(std::string_view s) {
  return s.empty() || !std::all_of(s.begin(), s.end(), [](char c) {
           return IsPlainInJson(c) && c != ' ' && c != '=';
         });
}

// Now, in UTC (RFC 3339). Formatting a whole time costs more than the rest of a
// line, so what is the same all second long is kept.
void AppendNow(std::string& out) {
  thread_local int64_t second = -1;
  thread_local std::string until_second;
  const int64_t now = absl::ToUnixMillis(absl::Now());
  if (now / 1000 != second) {
    second = now / 1000;
    until_second =
        absl::FormatTime("%Y-%m-%dT%H:%M:%S", absl::FromUnixSeconds(second),
                         absl::UTCTimeZone());
  }
  absl::StrAppendFormat(&out, "%s.%03dZ", until_second, now % 1000);
}

}  // namespace

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

class LogLine {
 public:
  static std::string Render(LogLevel level, LogFormat format,
                            std::string_view event,
                            std::initializer_list<LogField> fields) {
    const bool json = format == LogFormat::kJson;
    std::string line;
    line.reserve(512);
    if (json) line.append("{\"time\":\"");
    AppendNow(line);
    if (json) {
      absl::StrAppend(&line, "\",\"level\":\"", AsAbsl(Name(level)),
                      "\",\"event\":");
      AppendJsonString(line, event);
    } else {
      absl::StrAppend(&line, " ", AsAbsl(Name(level)), " ", AsAbsl(event));
    }
    for (const LogField& field : fields) {
      if (json) {
        line.push_back(',');
        AppendJsonString(line, field.name_);
        line.push_back(':');
      } else {
        absl::StrAppend(&line, " ", AsAbsl(field.name_), "=");
      }
      AppendValue(line, field, json);
    }
    if (json) line.push_back('}');
    return line;
  }

 private:
  static void AppendValue(std::string& line, const LogField& field, bool json) {
    if (const auto* s = std::get_if<std::string_view>(&field.value_)) {
      if (json || NeedsQuotes(*s)) {
        AppendJsonString(line, *s);
      } else {
        line.append(*s);
      }
    } else if (const auto* b = std::get_if<bool>(&field.value_)) {
      line.append(*b ? "true" : "false");
    } else if (const auto* d = std::get_if<double>(&field.value_)) {
      if (json && !std::isfinite(*d)) {
        line.append("null");  // JSON has no infinity and no NaN
      } else {
        absl::StrAppend(&line, *d);
      }
    } else {
      absl::StrAppend(&line, std::get<int64_t>(field.value_));
    }
  }
};

void ConfigureLog(LogLevel level, LogFormat format) {
  g_level = level;
  g_format = format;
}

void Log(LogLevel level, std::string_view event,
         std::initializer_list<LogField> fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  Logger().log(spdlog::level::info,
               LogLine::Render(level, g_format, event, fields));
}

}  // namespace waggle
