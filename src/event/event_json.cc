#include "event/event_json.h"

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/json_string.h"
#include "event/proto_time.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

namespace waggle {
namespace {

// What a path may hold unescaped in a URI (RFC 3986, pchar) but for the
// sub-delims, which are escaped to be safe.
std::string UriSegment(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out.push_back(static_cast<char>(c));
    } else {
      absl::StrAppend(&out, "%", absl::Hex(c, absl::kZeroPad2));
    }
  }
  return out;
}

// Of an object that is being written; `name` needs no escaping.
void AppendMember(std::string& json, absl::string_view name,
                  std::string_view value) {
  absl::StrAppend(&json, json.size() > 1 ? "," : "", "\"", name, "\":");
  AppendJsonString(json, value);
}

}  // namespace

std::string EventJson(const v1::Event& event) {
  std::string json;
  if (google::protobuf::util::MessageToJsonString(event, &json).ok()) {
    return json;
  }
  json = "{";
  AppendMember(json, "id", event.id());
  AppendMember(json, "sequence", absl::StrCat(event.sequence()));
  json.push_back('}');
  return json;
}

std::string CloudEventJson(const v1::Event& event) {
  std::string json = "{";
  AppendMember(json, "specversion", "1.0");
  AppendMember(json, "id", event.id());
  AppendMember(json, "source",
               absl::StrCat("/webhooks/", UriSegment(event.endpoint())));
  AppendMember(json, "type", absl::StrCat("dev.bindbee.", event.type_name()));
  if (event.has_received_at() && IsValid(event.received_at())) {
    AppendMember(
        json, "time",
        google::protobuf::util::TimeUtil::ToString(event.received_at()));
  }
  // Attributes that are there must not be empty.
  if (!event.connector().id().empty()) {
    AppendMember(json, "subject", event.connector().id());
  }
  AppendMember(json, "sequence", absl::StrCat(event.sequence()));
  if (!event.traceparent().empty()) {
    AppendMember(json, "traceparent", event.traceparent());
  }
  AppendMember(json, "datacontenttype", "application/json");
  absl::StrAppend(&json, ",\"data\":", EventJson(event), "}");
  return json;
}

}  // namespace waggle
