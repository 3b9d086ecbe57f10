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

// The size of the character that `s` begins with, or 0 if it begins with none
// (RFC 3629, section 4).
size_t Utf8Size(std::string_view s) {
  const auto byte = [s](size_t i) {
    return i < s.size() ? static_cast<unsigned char>(s[i]) : 0;
  };
  const auto follows = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const int first = byte(0);
  const int second = byte(1);
  if (first < 0x80) return s.empty() ? 0 : 1;
  if (!follows(1) || first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return 2;
  if (!follows(2)) return 0;
  if (first < 0xf0) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  const bool overlong = first == 0xf0 && second < 0x90;
  const bool beyond = first == 0xf4 && second >= 0x90;
  return overlong || beyond || !follows(3) ? 0 : 4;
}

// Needs no escape in a JSON string.
bool IsPlain(unsigned char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

// Appends a JSON string; also what text values with odd characters become, so
// that a value can never forge a line.
void AppendQuoted(std::string& out, std::string_view s) {
  out.push_back('"');
  while (!s.empty()) {
    const size_t plain = static_cast<size_t>(
        std::find_if_not(s.begin(), s.end(), IsPlain) - s.begin());
    out.append(s.substr(0, plain));
    s.remove_prefix(plain);
    if (s.empty()) break;
    const auto byte = static_cast<unsigned char>(s.front());
    const size_t size = Utf8Size(s);
    if (size == 0) {
      out.append("\\ufffd");
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      if (size == 1) out.push_back('\\');
      out.append(s.substr(0, size));
    }
    s.remove_prefix(std::max<size_t>(size, 1));
  }
  out.push_back('"');
}

bool NeedsQuotes(std::string_view s) {
  return s.empty() || !std::all_of(s.begin(), s.end(), [](char c) {
           return IsPlain(c) && c != ' ' && c != '=';
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
      AppendQuoted(line, event);
    } else {
      absl::StrAppend(&line, " ", AsAbsl(Name(level)), " ", AsAbsl(event));
    }
    for (const LogField& field : fields) {
      if (json) {
        line.push_back(',');
        AppendQuoted(line, field.name_);
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
        AppendQuoted(line, *s);
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
