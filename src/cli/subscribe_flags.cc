#include "cli/subscribe_flags.h"

#include <utility>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/cursor_file.h"
#include "cli/flag_values.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

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

absl::Status SetStart(const std::string& from, absl::Time now,
                      v1::SubscribeRequest& request) {
  if (from == "earliest" || from == "latest") {
    request.set_position(from == "earliest" ? v1::START_POSITION_EARLIEST
                                            : v1::START_POSITION_LATEST);
    return absl::OkStatus();
  }
  if (const auto time = MomentFromText("--from", from, now); time.ok()) {
    return SetTimestamp("--from", *time, request.mutable_since());
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

void AddFilterFlags(CLI::App& command, SubscribeFlags& flags) {
  const auto add = [&command](
                       const char* name, std::vector<std::string>& values,
                       const char* description, const char* type = "TEXT") {
    command.add_option(name, values, description)
        ->type_name(type)
        ->allow_extra_args(false)
        ->group("Filters (each repeatable)");
  };
  add("--type", flags.types,
      "sync_started, sync_completed, sync_failed, employees_changed or "
      "data_modified",
      "TYPE");
  add("--type-name", flags.type_names,
      "The event as Bindbee names it, such as connector_synced; reaches events "
      "that have no type yet");
  add("--connector", flags.connectors, "The connector's id");
  add("--origin", flags.origins, "The customer: the connector's origin id");
  add("--integration", flags.integrations,
      "The source system's slug, such as bamboohr");
  add("--category", flags.categories, "hris, ats or lms", "CATEGORY");
  add("--model", flags.models,
      "A model whose records changed, such as hris_employment");
  add("--sync-type", flags.sync_types, "automated or manual", "TYPE");
  add("--connector-status", flags.connector_statuses,
      "complete, incomplete or relink_needed", "STATUS");
  add("--endpoint", flags.endpoints, "The gateway's endpoint");
  add("--filter", flags.filters,
      "Another filter, as a waggle.v1.EventFilter in JSON", "JSON");
}

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
