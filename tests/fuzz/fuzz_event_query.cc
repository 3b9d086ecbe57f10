// Queries of GET /v1/events: any text gives a request that can be sent on, or
// an error that names parameters.
#include <cstdint>
#include <string>
#include <string_view>

#include "api/errors.h"
#include "google/rpc/error_details.pb.h"
#include "http/event_query.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto request = waggle::ParseEventQuery(text, "");
  if (!request.ok()) {
    const auto bad =
        waggle::DetailOf<google::rpc::BadRequest>(request.status());
    FUZZ_CHECK(bad.has_value() && !bad->field_violations().empty());
    return 0;
  }
  FUZZ_CHECK(request->filters_size() <= 1);
  // Strings are UTF-8, or this fails.
  waggle::v1::SubscribeRequest read;
  FUZZ_CHECK(read.ParseFromString(request->SerializeAsString()));
  const auto resumed = waggle::ParseEventQuery(text, "id");
  FUZZ_CHECK(resumed.ok() && resumed->after_cursor() == "id");
  return 0;
}
