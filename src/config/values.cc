#include "config/values.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace waggle {
namespace {

struct Unit {
  absl::string_view name;
  int shift;
};
constexpr std::array<Unit, 4> kUnits = {Unit{"TiB", 40}, Unit{"GiB", 30},
                                        Unit{"MiB", 20}, Unit{"KiB", 10}};

// Decimal digits only: no sign, no space.
bool ParseDigits(absl::string_view text, uint64_t* value) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, value);
}

bool IsIpv4(const std::string& host) {
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool IsIpv6(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool IsHostName(absl::string_view host) {
  // Digits and dots alone are a mistyped address.
  return host.size() <= 253 && !absl::StartsWith(host, "-") &&
         !absl::StartsWith(host, ".") &&
         std::all_of(host.begin(), host.end(),
                     [](char c) {
                       return absl::ascii_isalnum(c) || c == '-' || c == '.' ||
                              c == '_';
                     }) &&
         std::any_of(host.begin(), host.end(), absl::ascii_isalpha);
}

}  // namespace

absl::StatusOr<absl::Duration> DurationFromText(absl::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) ||
      duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text,
        "\" is not a duration; write such as 500ms, 30s, 10m, 24h"));
  }
  return duration;
}

std::string DurationToText(absl::Duration duration) {
  return duration == absl::ZeroDuration() ? "0s"
                                          : absl::FormatDuration(duration);
}

absl::StatusOr<uint64_t> SizeFromText(absl::string_view text) {
  absl::string_view digits = text;
  int shift = 0;
  for (const Unit& unit : kUnits) {
    if (absl::ConsumeSuffix(&digits, unit.name)) {
      shift = unit.shift;
      break;
    }
  }
  uint64_t value = 0;
  if (!ParseDigits(digits, &value) ||
      value > std::numeric_limits<uint64_t>::max() >> shift) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text,
                     "\" is not a size; write such as 64KiB, 1MiB, 10GiB, or "
                     "plain bytes"));
  }
  return value << shift;
}

std::string SizeToText(uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && bytes % (uint64_t{1} << unit.shift) == 0) {
      return absl::StrCat(bytes >> unit.shift, unit.name);
    }
  }
  return absl::StrCat(bytes);
}

absl::StatusOr<HostPort> HostPortFromText(absl::string_view text) {
  const absl::Status refused = absl::InvalidArgumentError(absl::StrCat(
      "\"", text,
      "\" is not an address to listen on; write host:port, such as "
      "127.0.0.1:8080, [::1]:8080, or :8080 for all interfaces"));
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return refused;
  uint64_t port = 0;
  if (!ParseDigits(text.substr(colon + 1), &port) || port > 65535) {
    return refused;
  }
  absl::string_view host = text.substr(0, colon);
  HostPort result{std::string(host), static_cast<uint16_t>(port)};
  if (host.empty()) {
    result.host = "::";
    return result;
  }
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    result.host = std::string(host);
    if (!IsIpv6(result.host)) return refused;
    return result;
  }
  if (!IsIpv4(result.host) && !IsHostName(result.host)) return refused;
  return result;
}

std::string HostPort::ToString() const {
  return IsIpv6(host) ? absl::StrCat("[", host, "]:", port)
                      : absl::StrCat(host, ":", port);
}

bool HostPort::IsLoopback() const {
  if (in_addr v4; inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == 127;
  }
  if (in6_addr v6; inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&v6);
  }
  return absl::EqualsIgnoreCase(host, "localhost");
}

}  // namespace waggle
