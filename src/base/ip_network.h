// IP addresses and networks of them: whether a client comes from a network
// that somebody named. An IPv4 address is the same however it is written, also
// if it is mapped into IPv6 ("::ffff:192.0.2.1").
//
//   const auto network = IpNetwork::FromText("10.0.0.0/8");
//   if (const auto address = IpAddress::FromText(text);
//       address && network->Contains(*address)) ...
#ifndef WAGGLE_BASE_IP_NETWORK_H_
#define WAGGLE_BASE_IP_NETWORK_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waggle {

class IpAddress {
 public:
  // "192.0.2.1" or "2001:db8::1", without a port, brackets or a zone.
  static std::optional<IpAddress> FromText(std::string_view text);

  std::string ToString() const;
  bool is_v4() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  friend class IpNetwork;

  // IPv4 is mapped into IPv6.
  std::array<uint8_t, 16> bytes_{};
};

class IpNetwork {
 public:
  // "10.0.0.0/8", "fd00::/8", or a single address. INVALID_ARGUMENT says what
  // is allowed.
  static absl::StatusOr<IpNetwork> FromText(absl::string_view text);

  bool Contains(const IpAddress& address) const;
  std::string ToString() const;

  friend bool operator==(const IpNetwork&, const IpNetwork&) = default;

 private:
  IpAddress first_;
  // Of the 128 bits.
  int prefix_ = 128;
};

}  // namespace waggle

#endif  // WAGGLE_BASE_IP_NETWORK_H_
