#include "cli/subscribe_flags.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "cli/cursor_file.h"
#include "config/suggest.h"
#include "config/values.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::RepeatedField;
using google::protobuf::RepeatedPtrField;

// The values of an enum by their short names: SYNC_COMPLETED of
// EVENT_TYPE_SYNC_COMPLETED is "sync_completed". UNSPECIFIED is none.
std::vector<std::pair<std::string, int>> ShortNames(
    const EnumDescriptor& descriptor) {
  const std::string unspecified = descriptor.value(0)->name();
  const size_t prefix = unspecified.size() - sizeof("UNSPECIFIED") + 1;
  std::vector<std::pair<std::string, int>> names;
  for (int i = 1; i < descriptor.value_count(); ++i) {
    names.emplace_back(
        absl::AsciiStrToLower(descriptor.value(i)->name().substr(prefix)),
        descriptor.value(i)->number());
  }
  return names;
}

absl::Status AddEnums(const std::string& flag, const EnumDescriptor& descriptor,
                      const std::vector<std::string>& texts,
                      RepeatedField<int>* out) {
  const std::vector<std::pair<std::string, int>> names = ShortNames(descriptor);
  for (const std::string& text : texts) {
    const std::string wanted =
        absl::StrReplaceAll(absl::AsciiStrToLower(text), {{"-", "_"}});
    bool found = false;
    std::vector<std::string> known;
    for (const auto& [name, number] : names) {
      known.push_back(name);
      if (name != wanted) continue;
      out->Add(number);
      found = true;
    }
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": \"", text, "\" is not one of ",
                       absl::StrJoin(known, ", "), DidYouMean(wanted, known)));
    }
  }
  return absl::OkStatus();
}

absl::Status AddStrings(const std::string& flag,
                        const std::vector<std::string>& texts,
                        RepeatedPtrField<std::string>* out) {
  for (const std::string& text : texts) {
    if (text.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": must not be empty"));
    }
    *out->Add() = text;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::EventFilter> FilterOfLists(const SubscribeFlags& flags) {
  v1::EventFilter filter;
  WAGGLE_RETURN_IF_ERROR(AddEnums("--type", *v1::EventType_descriptor(),
                                  flags.types, filter.mutable_types()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--type-name", flags.type_names, filter.mutable_type_names()));
  WAGGLE_RETURN_IF_ERROR(AddStrings("--connector", flags.connectors,
                                    filter.mutable_connector_ids()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--origin", flags.origins, filter.mutable_origin_ids()));
  WAGGLE_RETURN_IF_ERROR(AddStrings("--integration", flags.integrations,
                                    filter.mutable_integration_slugs()));
  WAGGLE_RETURN_IF_ERROR(AddEnums("--category", *v1::Category_descriptor(),
                                  flags.categories,
                                  filter.mutable_categories()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--model", flags.models, filter.mutable_models()));
  WAGGLE_RETURN_IF_ERROR(AddEnums("--sync-type", *v1::SyncType_descriptor(),
                                  flags.sync_types,
                                  filter.mutable_sync_types()));
  WAGGLE_RETURN_IF_ERROR(
      AddEnums("--connector-status", *v1::ConnectorStatus_descriptor(),
               flags.connector_statuses, filter.mutable_connector_statuses()));
  WAGGLE_RETURN_IF_ERROR(
      AddStrings("--endpoint", flags.endpoints, filter.mutable_endpoints()));
  return filter;
}

absl::Status SetTimestamp(absl::Time time, v1::SubscribeRequest& request) {
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  if (since_epoch < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--from: is before 1970");
  }
  auto* since = request.mutable_since();
  since->set_seconds(absl::ToInt64Seconds(since_epoch));
  since->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(since_epoch % absl::Seconds(1))));
  return absl::OkStatus();
}

absl::Status SetStart(const std::string& from, absl::Time now,
                      v1::SubscribeRequest& request) {
  if (from == "earliest" || from == "latest") {
    request.set_position(from == "earliest" ? v1::START_POSITION_EARLIEST
                                            : v1::START_POSITION_LATEST);
    return absl::OkStatus();
  }
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, from, &time, nullptr)) {
    return SetTimestamp(time, request);
  }
  if (const auto ago = DurationFromText(from); ago.ok()) {
    return SetTimestamp(now - *ago, request);
  }
  if (LooksLikeCursor(from)) {
    request.set_after_cursor(from);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--from: \"", from,
      "\" is not earliest, latest, a time such as 2025-01-31T08:00:00Z, a "
      "duration ago such as 2h, or a cursor"));
}

}  // namespace

absl::StatusOr<v1::SubscribeRequest> ToRequest(const SubscribeFlags& flags,
                                               absl::Time now) {
  v1::SubscribeRequest request;
  WAGGLE_ASSIGN_OR_RETURN(v1::EventFilter lists, FilterOfLists(flags));
  // A filter with nothing set would match everything.
  if (lists.ByteSizeLong() > 0) *request.add_filters() = std::move(lists);
  for (const std::string& json : flags.filters) {
    const auto status = google::protobuf::util::JsonStringToMessage(
        json, request.add_filters());
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--filter: ", status.message().ToString(),
                       "; write such as {\"originIds\": [\"acme\"]}"));
    }
  }
  WAGGLE_RETURN_IF_ERROR(SetStart(flags.from, now, request));
  request.set_stop_when_caught_up(flags.until_caught_up);
  request.set_include_payload(flags.payload);
  request.set_max_batch_size(flags.max_batch);
  auto* heartbeat = request.mutable_heartbeat_interval();
  heartbeat->set_seconds(absl::ToInt64Seconds(flags.heartbeat));
  heartbeat->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(flags.heartbeat % absl::Seconds(1))));
  return request;
}

}  // namespace waggle
