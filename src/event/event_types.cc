#include "event/event_types.h"

namespace waggle {
namespace {

constexpr EventTypeName kEventTypes[] = {
    {v1::EVENT_TYPE_SYNC_STARTED, "connector_sync_started"},
    {v1::EVENT_TYPE_SYNC_COMPLETED, "connector_synced"},
    {v1::EVENT_TYPE_SYNC_FAILED, "connector_sync_error"},
    {v1::EVENT_TYPE_EMPLOYEES_CHANGED, "employee_data_changed"},
    {v1::EVENT_TYPE_DATA_MODIFIED, "connector_data_modified"},
};

}  // namespace

absl::Span<const EventTypeName> EventTypeNames() { return kEventTypes; }

}  // namespace waggle
