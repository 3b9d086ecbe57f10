#include "http/client_address.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace waggle {
namespace {

// Proxies in a row that are believed. More are a mistake, or somebody's work.
constexpr size_t kMaxProxies = 32;

std::string_view TrimBlanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or
// "[2001:db8::1]:80".
std::optional<IpAddress> ParseEntry(std::string_view entry) {
  if (entry.starts_with('[')) {
    const size_t end = entry.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = entry.substr(end + 1);
    if (!rest.empty() && (rest[0] != ':' || !IsPort(rest.substr(1)))) {
      return std::nullopt;
    }
    const std::string_view inside = entry.substr(1, end - 1);
    if (inside.find(':') == std::string_view::npos) return std::nullopt;
    return IpAddress::FromText(inside);
  }
  const size_t colon = entry.find(':');
  const bool one_colon = colon != std::string_view::npos &&
                         entry.find(':', colon + 1) == std::string_view::npos;
  if (!one_colon) return IpAddress::FromText(entry);
  if (!IsPort(entry.substr(colon + 1))) return std::nullopt;
  return IpAddress::FromText(entry.substr(0, colon));
}

}  // namespace

std::string ClientAddress(std::string_view peer,
                          absl::Span<const std::string_view> forwarded_for,
                          absl::Span<const IpNetwork> trusted_proxies) {
  const auto is_trusted = [&](const IpAddress& address) {
    return std::any_of(trusted_proxies.begin(), trusted_proxies.end(),
                       [&address](const IpNetwork& network) {
                         return network.Contains(address);
                       });
  };
  const std::optional<IpAddress> connected = IpAddress::FromText(peer);
  if (!connected || !is_trusted(*connected)) return std::string(peer);

  IpAddress client = *connected;
  size_t proxies = 1;
  for (size_t field = forwarded_for.size(); field-- > 0;) {
    std::string_view rest = forwarded_for[field];
    for (bool more = true; more;) {
      const size_t comma = rest.rfind(',');
      more = comma != std::string_view::npos;
      const std::optional<IpAddress> address =
          ParseEntry(TrimBlanks(more ? rest.substr(comma + 1) : rest));
      if (!address) return client.ToString();
      client = *address;
      if (!is_trusted(client) || ++proxies > kMaxProxies) {
        return client.ToString();
      }
      if (more) rest = rest.substr(0, comma);
    }
  }
  return client.ToString();
}

}  // namespace waggle
