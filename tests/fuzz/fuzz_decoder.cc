// Any body becomes an event that consumers can read: bounded, valid UTF-8, and
// within the depth that protobuf's parsers accept when it comes in a response.
#include <cstdint>
#include <string>
#include <string_view>

#include "bindbee/decoder.h"
#include "tests/fuzz/check.h"
#include "waggle/v1/event_service.pb.h"

namespace {

// Whether every known value of the event is of a type that goes with it.
bool IsConsistent(const waggle::v1::Event& event) {
  namespace v1 = waggle::v1;
  using Data = v1::Event::DataCase;
  if (event.connector().categories_size() !=
      event.connector().category_names_size()) {
    return false;
  }
  switch (event.data_case()) {
    case Data::kUnrecognized:
      return event.type() == v1::EVENT_TYPE_UNSPECIFIED ||
             !event.unrecognized().problem().empty();
    case Data::kSyncStatus:
      return event.type() == v1::EVENT_TYPE_SYNC_STARTED ||
             event.type() == v1::EVENT_TYPE_SYNC_COMPLETED;
    case Data::kSyncFailure:
      return event.type() == v1::EVENT_TYPE_SYNC_FAILED;
    case Data::kEmployeesChanged:
      return event.type() == v1::EVENT_TYPE_EMPLOYEES_CHANGED;
    case Data::kDataModified:
      return event.type() == v1::EVENT_TYPE_DATA_MODIFIED;
    case Data::DATA_NOT_SET:
      return false;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  waggle::v1::SubscribeResponse response;
  *response.add_events() = waggle::Decode(body);
  const waggle::v1::Event& event = response.events(0);
  FUZZ_CHECK(IsConsistent(event));
  FUZZ_CHECK(event.ByteSizeLong() <= waggle::kMaxEventBytes);
  FUZZ_CHECK(event.unrecognized().data().ByteSizeLong() <=
             waggle::kMaxStructBytes);
  // Parsing refuses strings that are not UTF-8, and more than 100 levels.
  waggle::v1::SubscribeResponse parsed;
  FUZZ_CHECK(parsed.ParseFromString(response.SerializeAsString()));
  return 0;
}
