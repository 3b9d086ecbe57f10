// Structured logging to standard error: an event's name and fields, as text or
// as one JSON object a line.
//
//   Log(LogLevel::kInfo, "webhook", {{"endpoint", endpoint}, {"status", 200}});
//
// Never pass a key, a signature, a body or personal data. What is not UTF-8 in
// a value becomes U+FFFD. Thread-safe. Until ConfigureLog is called, text at
// level info.
#ifndef WAGGLE_BASE_LOG_H_
#define WAGGLE_BASE_LOG_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace waggle {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

// As it is written in lines and in the configuration: "debug", "info", ...
std::string_view Name(LogLevel level);

void ConfigureLog(LogLevel level, LogFormat format);

// A named value. Holds views: for use in the call only.
class LogField {
 public:
  LogField(std::string_view name, std::string_view value)
      : name_(name), value_(value) {}
  LogField(std::string_view name, const char* value)
      : name_(name), value_(std::string_view(value)) {}
  LogField(std::string_view name, bool value) : name_(name), value_(value) {}
  LogField(std::string_view name, double value) : name_(name), value_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view name, T value)
      : name_(name), value_(static_cast<int64_t>(value)) {}

 private:
  friend void Log(LogLevel, std::string_view, std::initializer_list<LogField>);
  friend class LogLine;

  std::string_view name_;
  std::variant<std::string_view, bool, double, int64_t> value_;
};

void Log(LogLevel level, std::string_view event,
         std::initializer_list<LogField> fields = {});

}  // namespace waggle

#endif  // WAGGLE_BASE_LOG_H_
