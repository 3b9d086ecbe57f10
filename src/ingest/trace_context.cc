#include "ingest/trace_context.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

// Version, trace id, parent id and flags, in hexadecimal with "-" between.
constexpr size_t kTraceId = 3;
constexpr size_t kTraceIdSize = 32;
constexpr size_t kParentId = kTraceId + kTraceIdSize + 1;
constexpr size_t kParentIdSize = 16;
constexpr size_t kFlags = kParentId + kParentIdSize + 1;
constexpr size_t kFlagsSize = 2;
constexpr size_t kSize = kFlags + kFlagsSize;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

// The lowest bit of the flags: all that version 00 says of them.
bool IsSampled(std::string_view flags) {
  const char digit = flags.back();
  return ((digit <= '9' ? digit - '0' : digit - 'a' + 10) & 1) != 0;
}

std::string NewTraceparent() {
  thread_local absl::BitGen random;
  const auto id = [] {
    return absl::Uniform<uint64_t>(absl::IntervalClosed, random, 1, UINT64_MAX);
  };
  return absl::StrCat("00-", absl::Hex(id(), absl::kZeroPad16),
                      absl::Hex(id(), absl::kZeroPad16), "-",
                      absl::Hex(id(), absl::kZeroPad16), "-01");
}

}  // namespace

std::optional<std::string> ParseTraceparent(std::string_view value) {
  if (value.size() < kSize) return std::nullopt;
  const std::string_view version = value.substr(0, 2);
  const std::string_view flags = value.substr(kFlags, kFlagsSize);
  const bool valid = IsHex(version) && version != "ff" &&
                     value[kTraceId - 1] == '-' &&
                     IsId(value.substr(kTraceId, kTraceIdSize)) &&
                     value[kParentId - 1] == '-' &&
                     IsId(value.substr(kParentId, kParentIdSize)) &&
                     value[kFlags - 1] == '-' && IsHex(flags);
  if (!valid) return std::nullopt;
  if (version == "00") {
    if (value.size() > kSize) return std::nullopt;
    return std::string(value);
  }
  if (value.size() > kSize && value[kSize] != '-') return std::nullopt;
  std::string as_00 = "00";
  as_00.append(value.substr(2, kFlags - 2));
  as_00.append(IsSampled(flags) ? "01" : "00");
  return as_00;
}

std::string TraceparentOf(absl::Span<const std::string_view> values) {
  if (values.size() == 1) {
    if (auto traceparent = ParseTraceparent(values[0])) {
      return *std::move(traceparent);
    }
  }
  return NewTraceparent();
}

std::string_view TraceIdOf(std::string_view traceparent) {
  return traceparent.size() < kSize
             ? std::string_view()
             : traceparent.substr(kTraceId, kTraceIdSize);
}

}  // namespace waggle
