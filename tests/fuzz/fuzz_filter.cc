// Any request's filters are either refused with fields that are in them, or
// match exactly the events that a reading of event_service.proto, word by word,
// says they match.
//
// Input: a byte n, 4 * n bytes of a serialised SubscribeRequest, and a
// serialised Event.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "event/event_view.h"
#include "event/filter.h"
#include "tests/fuzz/check.h"
#include "waggle/v1/event.pb.h"
#include "waggle/v1/event_service.pb.h"

namespace {

namespace v1 = waggle::v1;

template <typename Values, typename T>
bool Allows(const Values& values, const T& value) {
  return values.empty() ||
         std::find(values.begin(), values.end(), value) != values.end();
}

template <typename Values, typename Candidates>
bool AllowsAny(const Values& values, const Candidates& candidates) {
  return values.empty() || std::any_of(candidates.begin(), candidates.end(),
                                       [&values](const auto& candidate) {
                                         return Allows(values, candidate);
                                       });
}

bool Matches(const v1::EventFilter& filter, const v1::Event& event) {
  std::vector<std::string> models;
  for (const v1::ModelChange& change : event.data_modified().changes()) {
    models.push_back(change.model());
  }
  const v1::Connector& connector = event.connector();
  return Allows(filter.types(), event.type()) &&
         Allows(filter.type_names(), event.type_name()) &&
         Allows(filter.connector_ids(), connector.id()) &&
         Allows(filter.origin_ids(), connector.origin_id()) &&
         Allows(filter.integration_slugs(), connector.integration_slug()) &&
         AllowsAny(filter.categories(), connector.categories()) &&
         AllowsAny(filter.models(), models) &&
         Allows(filter.sync_types(), event.sync().type()) &&
         Allows(filter.connector_statuses(), connector.status()) &&
         Allows(filter.endpoints(), event.endpoint());
}

bool MatchesAny(const v1::SubscribeRequest& request, const v1::Event& event) {
  return request.filters().empty() ||
         std::any_of(request.filters().begin(), request.filters().end(),
                     [&event](const v1::EventFilter& filter) {
                       return Matches(filter, event);
                     });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  const size_t request_size = 4 * static_cast<uint8_t>(input[0]);
  input.remove_prefix(1);
  v1::SubscribeRequest request;
  const std::string_view request_bytes = input.substr(0, request_size);
  if (!request.ParseFromArray(request_bytes.data(),
                              static_cast<int>(request_bytes.size()))) {
    return 0;
  }

  const auto violations = waggle::Filter::Validate(request.filters());
  for (const waggle::FieldViolation& violation : violations) {
    FUZZ_CHECK(violation.field.rfind("filters", 0) == 0);
    FUZZ_CHECK(!violation.description.empty());
  }
  if (!violations.empty()) return 0;

  const std::string_view event_bytes =
      input.substr(std::min(request_size, input.size()));
  v1::Event event;
  if (!event.ParseFromArray(event_bytes.data(),
                            static_cast<int>(event_bytes.size()))) {
    return 0;
  }
  // Events come from this program: a field's number with another wire type,
  // which parses as an unknown field, is in none of them.
  event.DiscardUnknownFields();
  const auto filter = waggle::Filter::Compile(request.filters());
  const std::string canonical = event.SerializeAsString();
  waggle::EventView view;
  FUZZ_CHECK(waggle::EventView::Parse(canonical, view));
  FUZZ_CHECK(filter->Matches(view) == MatchesAny(request, event));
  FUZZ_CHECK(!filter->matches_all() || filter->Matches(view));
  return 0;
}
