// Values of header fields that say where a request comes from: any text is a
// valid traceparent or none, and no client behind a trusted proxy chooses its
// own address.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/client_address.h"
#include "ingest/trace_context.h"
#include "tests/fuzz/check.h"

namespace {

void CheckTraceparent(std::string_view text) {
  const std::string made = waggle::TraceparentOf({text});
  FUZZ_CHECK(made.size() == 55);
  FUZZ_CHECK(waggle::ParseTraceparent(made) == made);
  FUZZ_CHECK(waggle::TraceIdOf(made).size() == 32);
  const auto parsed = waggle::ParseTraceparent(text);
  FUZZ_CHECK(!parsed || *parsed == made);
  FUZZ_CHECK(!parsed || text.substr(0, 2) != "00" || *parsed == text);
}

void CheckClientAddress(std::string_view text) {
  static const std::vector<waggle::IpNetwork>& trusted =
      *new std::vector<waggle::IpNetwork>{
          *waggle::IpNetwork::FromText("10.0.0.0/8"),
          *waggle::IpNetwork::FromText("fd00::/8")};
  const std::string client = waggle::ClientAddress("10.0.0.1", {text}, trusted);
  FUZZ_CHECK(waggle::IpAddress::FromText(client).has_value());
  const std::string appended = std::string(text) + ",192.0.2.1";
  FUZZ_CHECK(waggle::ClientAddress("10.0.0.1", {appended}, trusted) ==
             "192.0.2.1");
  const auto network = waggle::IpNetwork::FromText({text.data(), text.size()});
  FUZZ_CHECK(!network.ok() ||
             *waggle::IpNetwork::FromText(network->ToString()) == *network);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckTraceparent(text);
  CheckClientAddress(text);
  return 0;
}
