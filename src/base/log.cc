#include "base/log.h"

#include <atomic>
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

// Appends a JSON string; also what text values with odd characters become, so
// that a value can never forge a line.
void AppendQuoted(std::string& out, std::string_view s) {
  out.push_back('"');
  for (const char c : s) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

bool NeedsQuotes(std::string_view s) {
  if (s.empty()) return true;
  for (const char c : s) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '"' || c == '=' || c == '\\') {
      return true;
    }
  }
  return false;
}

}  // namespace

class LogLine {
 public:
  static std::string Render(LogLevel level, LogFormat format,
                            std::string_view event,
                            std::initializer_list<LogField> fields) {
    const bool json = format == LogFormat::kJson;
    const std::string now = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                                             absl::Now(), absl::UTCTimeZone());
    std::string line;
    if (json) {
      absl::StrAppend(&line, "{\"time\":\"", now, "\",\"level\":\"",
                      AsAbsl(Name(level)), "\",\"event\":");
      AppendQuoted(line, event);
    } else {
      absl::StrAppend(&line, now, " ", AsAbsl(Name(level)), " ", AsAbsl(event));
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
      absl::StrAppend(&line, *d);
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
