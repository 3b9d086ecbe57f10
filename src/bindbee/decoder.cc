#include "bindbee/decoder.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "bindbee/json.h"
#include "bindbee/struct_builder.h"
#include "event/event_types.h"
#include "google/protobuf/timestamp.pb.h"

namespace waggle {
namespace {

// What Bindbee writes for each value of the open sets.
template <typename Enum>
struct Named {
  Enum type;
  std::string_view name;
};

constexpr Named<v1::Category> kCategories[] = {
    {v1::CATEGORY_HRIS, "HRIS"},
    {v1::CATEGORY_ATS, "ATS"},
    {v1::CATEGORY_LMS, "LMS"},
};

constexpr Named<v1::ConnectorStatus> kConnectorStatuses[] = {
    {v1::CONNECTOR_STATUS_COMPLETE, "COMPLETE"},
    {v1::CONNECTOR_STATUS_INCOMPLETE, "INCOMPLETE"},
    {v1::CONNECTOR_STATUS_RELINK_NEEDED, "RELINK_NEEDED"},
};

constexpr Named<v1::SyncType> kSyncTypes[] = {
    {v1::SYNC_TYPE_AUTOMATED, "AUTOMATED"},
    {v1::SYNC_TYPE_MANUAL, "MANUAL"},
};

constexpr Named<v1::DisplayStatus> kDisplayStatuses[] = {
    {v1::DISPLAY_STATUS_SYNCING, "Syncing"},
    {v1::DISPLAY_STATUS_DONE, "Done"},
    {v1::DISPLAY_STATUS_FAILED, "Failed"},
};

// The value of that name; 0, which is UNSPECIFIED, if it has none.
template <typename Table>
auto ValueOf(const Table& table, std::string_view name) {
  for (const auto& entry : table) {
    if (entry.name == name) return entry.type;
  }
  return decltype(table[0].type)();
}

std::string TextOrEmpty(const JsonObject& object, std::string_view name) {
  return std::string(Text(object, name).value_or(std::string_view()));
}

// Whether `text` is written like the pattern, in which 'd' stands for a digit.
bool IsLike(std::string_view text, std::string_view pattern) {
  return std::equal(text.begin(), text.end(), pattern.begin(), pattern.end(),
                    [](char c, char p) {
                      return p == 'd' ? absl::ascii_isdigit(c)
                                      : absl::ascii_toupper(c) == p;
                    });
}

// The grammar of RFC 3339, which Abseil's parser reads with more generosity.
bool IsRfc3339(std::string_view text) {
  constexpr std::string_view kSeconds = "dddd-dd-ddTdd:dd:dd";
  if (!IsLike(text.substr(0, kSeconds.size()), kSeconds)) return false;
  std::string_view rest = text.substr(kSeconds.size());
  if (!rest.empty() && rest[0] == '.') {
    const size_t end = rest.find_first_not_of("0123456789", 1);
    if (end == 1 || end == std::string_view::npos) return false;
    rest.remove_prefix(end);
  }
  return IsLike(rest, "Z") || IsLike(rest, "+dd:dd") || IsLike(rest, "-dd:dd");
}

bool ReadTimestamp(const JsonObject& object, std::string_view name,
                   google::protobuf::Timestamp& out) {
  // The years 1 to 9999, which is what a Timestamp may hold.
  constexpr int64_t kMinSeconds = -62'135'596'800;
  constexpr int64_t kMaxSeconds = 253'402'300'799;
  const std::optional<std::string_view> text = Text(object, name);
  absl::Time time;
  if (!text || !IsRfc3339(*text) ||
      !absl::ParseTime(absl::RFC3339_full, AsAbsl(*text), &time, nullptr)) {
    return false;
  }
  const int64_t seconds = absl::ToUnixSeconds(time);
  if (seconds < kMinSeconds || seconds > kMaxSeconds) return false;
  out.set_seconds(seconds);
  out.set_nanos(static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) /
                                     absl::Nanoseconds(1)));
  return true;
}

void ReadWebhook(const JsonObject& json, v1::Webhook& out) {
  out.set_id(TextOrEmpty(json, "webhook_id"));
  out.set_url(TextOrEmpty(json, "url"));
}

void ReadConnector(const JsonObject& json, v1::Connector& out) {
  out.set_id(TextOrEmpty(json, "id"));
  out.set_display_name(TextOrEmpty(json, "display_name"));
  out.set_integration_slug(TextOrEmpty(json, "integration_slug"));
  if (const auto categories = Array(json, "categories")) {
    for (const JsonElement category : *categories) {
      std::string_view name;
      if (category.get(name) != simdjson::SUCCESS) continue;
      out.add_categories(ValueOf(kCategories, name));
      out.add_category_names(name.data(), name.size());
    }
  }
  out.set_org_name(TextOrEmpty(json, "org_name"));
  out.set_origin_id(TextOrEmpty(json, "origin_id"));
  out.set_status_name(TextOrEmpty(json, "connector_status"));
  out.set_status(ValueOf(kConnectorStatuses, out.status_name()));
  if (const auto name = Text(json, "end_user_name")) {
    out.set_end_user_name(name->data(), name->size());
  }
  if (const auto email = Text(json, "end_user_email")) {
    out.set_end_user_email(email->data(), email->size());
  }
}

// The number in a sync's name, which looks like "#13".
uint32_t SyncNumber(std::string_view name) {
  if (!name.empty() && name[0] == '#') name.remove_prefix(1);
  uint32_t number = 0;
  // SimpleAtoi alone would allow white space and signs.
  return !name.empty() && absl::ascii_isdigit(name.front()) &&
                 absl::ascii_isdigit(name.back()) &&
                 absl::SimpleAtoi(AsAbsl(name), &number)
             ? number
             : 0;
}

void ReadSync(const JsonObject& json, v1::Sync& out) {
  out.set_id(TextOrEmpty(json, "sync_id"));
  out.set_type_name(TextOrEmpty(json, "sync_type"));
  out.set_type(ValueOf(kSyncTypes, out.type_name()));
  out.set_name(TextOrEmpty(json, "sync_name"));
  out.set_number(SyncNumber(out.name()));
}

void ReadSyncStatus(const JsonObject& json, v1::SyncStatus& out) {
  out.set_id(TextOrEmpty(json, "id"));
  out.set_integration_name(TextOrEmpty(json, "integration_name"));
  out.set_category_name(TextOrEmpty(json, "category"));
  out.set_category(ValueOf(kCategories, out.category_name()));
  out.set_display_status_name(TextOrEmpty(json, "display_status"));
  out.set_display_status(ValueOf(kDisplayStatuses, out.display_status_name()));
  google::protobuf::Timestamp time;
  if (ReadTimestamp(json, "last_sync_start_time", time)) {
    *out.mutable_last_sync_start_time() = time;
  }
}

void ReadError(const JsonObject& json, v1::SyncFailure& out) {
  google::protobuf::Timestamp time;
  if (ReadTimestamp(json, "failed_at", time)) *out.mutable_failed_at() = time;
  out.set_message(TextOrEmpty(json, "message"));
  const auto detail = Object(json, "detail");
  if (detail && !BuildStruct(*detail, *out.mutable_detail())) {
    out.clear_detail();
  }
}

using Ids = google::protobuf::RepeatedPtrField<std::string>;

// False if something in the list is not a string.
bool ReadIds(const JsonArray& json, Ids& out) {
  for (const JsonElement element : json) {
    std::string_view id;
    if (element.get(id) != simdjson::SUCCESS) return false;
    out.Add(std::string(id));
  }
  return true;
}

// The readers of `data` return what was wrong with it, or nothing.
using Problem = std::string_view;

Problem ReadSyncData(const JsonObject& root, v1::SyncStatus& out) {
  const auto data = Object(root, "data");
  if (!data) return "data is not an object";
  ReadSyncStatus(*data, out);
  return {};
}

Problem ReadFailureData(const JsonObject& root, v1::SyncFailure& out) {
  const auto error = Object(root, "error");
  if (error) ReadError(*error, out);
  // A failure that is told of without the sync's state is still a failure.
  if (error && !Member(root, "data")) return {};
  return ReadSyncData(root, *out.mutable_status());
}

Problem ReadEmployeesData(const JsonObject& root, v1::EmployeesChanged& out) {
  const auto data = Array(root, "data");
  if (!data || !ReadIds(*data, *out.mutable_employee_ids())) {
    return "data is not a list of strings";
  }
  return {};
}

Problem ReadModifiedData(const JsonObject& root, v1::DataModified& out) {
  constexpr Problem kProblem =
      "data is neither an object of lists of strings nor a list of strings";
  if (const auto list = Array(root, "data")) {
    return ReadIds(*list, *out.mutable_record_ids()) ? Problem() : kProblem;
  }
  const auto models = Object(root, "data");
  if (!models) return kProblem;
  for (const auto& model : *models) {
    v1::ModelChange& change = *out.add_changes();
    change.set_model(model.key.data(), model.key.size());
    if (model.value.is_null()) continue;
    JsonArray ids;
    if (model.value.get(ids) != simdjson::SUCCESS ||
        !ReadIds(ids, *change.mutable_record_ids())) {
      return kProblem;
    }
  }
  return {};
}

Problem ReadKnownData(const JsonObject& root, v1::Event& event) {
  switch (event.type()) {
    case v1::EVENT_TYPE_SYNC_STARTED:
    case v1::EVENT_TYPE_SYNC_COMPLETED:
      return ReadSyncData(root, *event.mutable_sync_status());
    case v1::EVENT_TYPE_SYNC_FAILED:
      return ReadFailureData(root, *event.mutable_sync_failure());
    case v1::EVENT_TYPE_EMPLOYEES_CHANGED:
      return ReadEmployeesData(root, *event.mutable_employees_changed());
    case v1::EVENT_TYPE_DATA_MODIFIED:
      return ReadModifiedData(root, *event.mutable_data_modified());
    default:
      return event.type_name().empty()
                 ? "the body names no event (webhook.event)"
                 : Problem();
  }
}

// Replaces the event's data, whatever it was.
v1::Unrecognized& SetUnrecognized(v1::Event& event, Problem problem) {
  event.clear_data();
  v1::Unrecognized& unrecognized = *event.mutable_unrecognized();
  unrecognized.set_problem(problem.data(), problem.size());
  return unrecognized;
}

void ReadUnrecognizedData(const JsonObject& root, Problem problem,
                          v1::Event& event) {
  v1::Unrecognized& out = SetUnrecognized(event, problem);
  const auto data = Object(root, "data");
  if (!data || BuildStruct(*data, *out.mutable_data())) return;
  out.clear_data();
  if (problem.empty()) {
    out.set_problem("data is too deep or too large to be given here");
  }
}

void ReadData(const JsonObject& root, v1::Event& event) {
  const Problem problem = ReadKnownData(root, event);
  if (event.type() == v1::EVENT_TYPE_UNSPECIFIED || !problem.empty()) {
    ReadUnrecognizedData(root, problem, event);
  }
}

void ReadBody(const JsonObject& root, v1::Event& event) {
  auto webhook = Object(root, "webhook");
  if (!webhook) webhook = Object(root, "hook");
  if (webhook) {
    event.set_type_name(TextOrEmpty(*webhook, "event"));
    event.set_type(ValueOf(EventTypeNames(), event.type_name()));
    ReadWebhook(*webhook, *event.mutable_webhook());
  }
  if (const auto connector = Object(root, "connector")) {
    ReadConnector(*connector, *event.mutable_connector());
  }
  if (const auto sync = Object(root, "sync")) {
    ReadSync(*sync, *event.mutable_sync());
  }
  ReadData(root, event);
}

void BoundSize(v1::Event& event) {
  constexpr Problem kProblem = "the event is too large to be given here";
  if (event.ByteSizeLong() <= kMaxEventBytes) return;
  SetUnrecognized(event, kProblem);
  if (event.ByteSizeLong() <= kMaxEventBytes) return;
  const v1::EventType type = event.type();
  const std::string name = event.type_name();
  event.Clear();
  event.set_type(type);
  if (type != v1::EVENT_TYPE_UNSPECIFIED) event.set_type_name(name);
  SetUnrecognized(event, kProblem);
}

}  // namespace

v1::Event Decode(std::string_view body) {
  v1::Event event;
  const Json json(body);
  if (json.root()) {
    ReadBody(*json.root(), event);
    BoundSize(event);
  } else {
    SetUnrecognized(event, json.problem());
  }
  return event;
}

}  // namespace waggle
