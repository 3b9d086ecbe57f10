// Whatever bytes a client sends, and however they are cut, the parser comes to
// the same end, holds no more than they explain, and a request that it takes is
// within the limits. The first byte chooses the cut; the rest is what is sent.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "http/request_parser.h"
#include "tests/fuzz/check.h"

namespace {

constexpr size_t kMaxBody = 512;

using waggle::RequestParser;

// Returns how many bytes the request took.
size_t Feed(RequestParser& parser, std::string_view bytes, size_t piece) {
  size_t taken = 0;
  while (taken < bytes.size() && !parser.complete() && !parser.refusal()) {
    taken += parser.Feed(bytes.substr(taken, piece));
  }
  return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  RequestParser whole(kMaxBody);
  RequestParser cut(kMaxBody);
  const size_t taken = Feed(whole, bytes, std::max<size_t>(1, bytes.size()));
  const size_t taken_in_pieces = Feed(cut, bytes, 1 + data[0]);
  FUZZ_CHECK(whole.memory() <= 2 * (RequestParser::kMaxHead + kMaxBody +
                                    RequestParser::kMaxChunkLine));
  FUZZ_CHECK(whole.complete() == cut.complete());
  FUZZ_CHECK(whole.refusal().has_value() == cut.refusal().has_value());
  if (whole.refusal()) {
    FUZZ_CHECK(whole.refusal()->reason == cut.refusal()->reason);
  }
  if (!whole.complete()) return 0;

  FUZZ_CHECK(taken == taken_in_pieces);
  const waggle::HttpRequest request = whole.TakeRequest();
  const waggle::HttpRequest other = cut.TakeRequest();
  FUZZ_CHECK(request.method() == other.method());
  FUZZ_CHECK(request.path() == other.path());
  FUZZ_CHECK(request.body == other.body);
  FUZZ_CHECK(request.body.size() <= kMaxBody);
  FUZZ_CHECK(!request.method().empty() && !request.path().empty());
  FUZZ_CHECK(request.path().find_first_of(" \r\n") == std::string_view::npos);
  return 0;
}
