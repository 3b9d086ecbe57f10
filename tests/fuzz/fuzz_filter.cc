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

#include "event/event_view.h"
#include "event/filter.h"
#include "tests/fakes/naive_filter.h"
#include "tests/fuzz/check.h"
#include "waggle/v1/event.pb.h"
#include "waggle/v1/event_service.pb.h"

namespace v1 = waggle::v1;

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
  FUZZ_CHECK(filter->Matches(view) ==
             waggle::naive::Matches(request.filters(), event));
  FUZZ_CHECK(!filter->matches_all() || filter->Matches(view));
  return 0;
}
