// From the query of GET /v1/events to a SubscribeRequest.
//
//   type, type_name, connector_id, origin_id, integration_slug, category,
//   model, sync_type, connector_status, endpoint
//       One EventFilter: values of one name are alternatives.
//   from=earliest|latest|TIME, after=CURSOR
//       Where to start.
//   include_payload, stop_when_caught_up
//       true or false.
//   heartbeat_interval=SECONDS
#ifndef WAGGLE_HTTP_EVENT_QUERY_H_
#define WAGGLE_HTTP_EVENT_QUERY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

// `last_event_id`, unless it is empty, is the cursor that counts. The errors
// are of the contract, and name parameters.
absl::StatusOr<v1::SubscribeRequest> ParseEventQuery(
    std::string_view query, std::string_view last_event_id);

// The parameter that a field of the request comes from: "type" for
// "filters[0].types[1]".
std::string ParameterOf(std::string_view field);

}  // namespace waggle

#endif  // WAGGLE_HTTP_EVENT_QUERY_H_
