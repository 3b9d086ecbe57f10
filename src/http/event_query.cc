#include "http/event_query.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "api/errors.h"
#include "base/json_string.h"
#include "base/strings.h"
#include "event/enum_names.h"
#include "event/filter.h"
#include "event/proto_time.h"
#include "google/protobuf/message.h"

namespace waggle {
namespace {

using google::protobuf::FieldDescriptor;

// A parameter, and the field of EventFilter that it adds to.
struct FilterParameter {
  std::string_view name;
  std::string_view field;
};

constexpr FilterParameter kFilterParameters[] = {
    {"type", "types"},
    {"type_name", "type_names"},
    {"connector_id", "connector_ids"},
    {"origin_id", "origin_ids"},
    {"integration_slug", "integration_slugs"},
    {"category", "categories"},
    {"model", "models"},
    {"sync_type", "sync_types"},
    {"connector_status", "connector_statuses"},
    {"endpoint", "endpoints"},
};

constexpr std::string_view kFrom = "from";
constexpr std::string_view kAfter = "after";
constexpr std::string_view kPayload = "include_payload";
constexpr std::string_view kStop = "stop_when_caught_up";
constexpr std::string_view kHeartbeat = "heartbeat_interval";
constexpr std::string_view kSingleParameters[] = {kFrom, kAfter, kPayload,
                                                  kStop, kHeartbeat};

// As forms and browsers encode it; nothing if an escape is cut or what comes
// out is not UTF-8.
std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      int byte;
      if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) ||
          !absl::ascii_isxdigit(text[i + 2]) ||
          !absl::SimpleHexAtoi(AsAbsl(text.substr(i + 1, 2)), &byte)) {
        return std::nullopt;
      }
      out.push_back(static_cast<char>(byte));
      i += 2;
    }
  }
  if (!IsUtf8(out)) return std::nullopt;
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view last_event_id)
      : last_event_id_(last_event_id) {}

  void Read(std::string_view query) {
    for (const absl::string_view pair :
         absl::StrSplit(AsAbsl(query), '&', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(pair, absl::MaxSplits('=', 1));
      const auto name = Decode(parts.first);
      const auto value = Decode(parts.second);
      if (!name.has_value() || !value.has_value()) {
        Refuse(
            IsUtf8(parts.first) ? parts.first : absl::CHexEscape(parts.first),
            "write it in UTF-8, percent-encoded");
      } else {
        Take(*name, *value);
      }
    }
    SetStart();
  }

  absl::StatusOr<v1::SubscribeRequest> Finish() {
    if (!violations_.empty()) return InvalidFields(violations_);
    // A filter with nothing set would match everything.
    if (filter_.ByteSizeLong() > 0) {
      *request_.add_filters() = std::move(filter_);
    }
    return std::move(request_);
  }

 private:
  void Refuse(std::string_view name, std::string description) {
    violations_.push_back({std::string(name), std::move(description)});
  }

  void Take(const std::string& name, const std::string& value) {
    for (const FilterParameter& parameter : kFilterParameters) {
      if (parameter.name == name) return AddToFilter(parameter, value);
    }
    if (std::find(std::begin(kSingleParameters), std::end(kSingleParameters),
                  name) == std::end(kSingleParameters)) {
      std::vector<std::string> known;
      for (const auto& p : kFilterParameters) known.emplace_back(p.name);
      for (const auto single : kSingleParameters) known.emplace_back(single);
      return Refuse(name, absl::StrCat("there is no such parameter; there are ",
                                       absl::StrJoin(known, ", ")));
    }
    if (!single_.emplace(name, value).second) {
      return Refuse(name, "give it once");
    }
    if (name == kPayload) request_.set_include_payload(TakeFlag(name, value));
    if (name == kStop) request_.set_stop_when_caught_up(TakeFlag(name, value));
    if (name == kHeartbeat) TakeHeartbeat(value);
  }

  void AddToFilter(const FilterParameter& parameter, const std::string& value) {
    const FieldDescriptor* field =
        v1::EventFilter::descriptor()->FindFieldByName(
            std::string(parameter.field));
    const auto* reflection = v1::EventFilter::GetReflection();
    if (field->type() != FieldDescriptor::TYPE_ENUM) {
      if (value.empty()) {
        return Refuse(parameter.name,
                      "must not be empty: leave it out to match any");
      }
      return reflection->AddString(&filter_, field, value);
    }
    const auto number = NumberOf(*field->enum_type(), value);
    if (!number.has_value()) {
      return Refuse(
          parameter.name,
          absl::StrCat("not one of ",
                       absl::StrJoin(ShortNames(*field->enum_type()), ", ")));
    }
    reflection->AddEnumValue(&filter_, field, *number);
  }

  bool TakeFlag(std::string_view name, std::string_view value) {
    if (value != "true" && value != "false") Refuse(name, "use true or false");
    return value == "true";
  }

  void TakeHeartbeat(const std::string& value) {
    double seconds;
    // What is out of range is found by whoever checks the request.
    if (!absl::SimpleAtod(value, &seconds) || !(seconds >= 0) ||
        seconds > 1e6) {
      return Refuse(kHeartbeat, "use a number of seconds, such as 10");
    }
    *request_.mutable_heartbeat_interval() = ToProto(absl::Seconds(seconds));
  }

  void SetStart() {
    const auto from = single_.find(kFrom);
    const auto after = single_.find(kAfter);
    if (from != single_.end() && after != single_.end()) {
      return Refuse(kAfter, "give either from or after");
    }
    if (from != single_.end()) SetFrom(from->second);
    if (after != single_.end()) request_.set_after_cursor(after->second);
    if (!last_event_id_.empty()) {
      request_.set_after_cursor(std::string(last_event_id_));
    }
  }

  void SetFrom(const std::string& value) {
    absl::Time time;
    if (value == "earliest") {
      request_.set_position(v1::START_POSITION_EARLIEST);
    } else if (value == "latest") {
      request_.set_position(v1::START_POSITION_LATEST);
    } else if (absl::ParseTime(absl::RFC3339_full, value, &time, nullptr)) {
      *request_.mutable_since() = ToProto(time);
    } else {
      Refuse(kFrom,
             "use earliest, latest or a time such as 2025-01-31T08:00:00Z");
    }
  }

  const std::string_view last_event_id_;
  // Parameters that may be given once.
  std::map<std::string, std::string, std::less<>> single_;
  v1::SubscribeRequest request_;
  v1::EventFilter filter_;
  std::vector<FieldViolation> violations_;
};

}  // namespace

absl::StatusOr<v1::SubscribeRequest> ParseEventQuery(
    std::string_view query, std::string_view last_event_id) {
  Reader reader(last_event_id);
  reader.Read(query);
  return reader.Finish();
}

std::string ParameterOf(std::string_view field) {
  if (field == "since" || field == "position") return std::string(kFrom);
  if (field == "after_cursor") return std::string(kAfter);
  std::string_view name = field.substr(field.find('.') + 1);
  name = name.substr(0, name.find('['));
  const auto* const parameter = std::find_if(
      std::begin(kFilterParameters), std::end(kFilterParameters),
      [name](const FilterParameter& p) { return p.field == name; });
  return std::string(
      parameter == std::end(kFilterParameters) ? field : parameter->name);
}

}  // namespace waggle
