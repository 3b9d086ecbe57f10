#include "base/ip_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace waggle {
namespace {

// Where an IPv4 address begins in the IPv6 address that it is mapped into.
constexpr int kMappedBytes = 12;
constexpr int kMappedBits = 8 * kMappedBytes;

bool BitAt(const std::array<uint8_t, 16>& bytes, int i) {
  return (bytes[i / 8] >> (7 - i % 8) & 1) != 0;
}

}  // namespace

std::optional<IpAddress> IpAddress::FromText(std::string_view text) {
  const std::string terminated(text);
  // inet_pton would not see what stands behind it.
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) {
    return address;
  }
  in_addr v4;
  if (inet_pton(AF_INET, terminated.c_str(), &v4) != 1) return std::nullopt;
  address.bytes_ = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::copy_n(reinterpret_cast<const uint8_t*>(&v4), sizeof(v4),
              address.bytes_.begin() + kMappedBytes);
  return address;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + kMappedBytes, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, bytes_.data(), text, sizeof(text));
  }
  return text;
}

bool IpAddress::is_v4() const {
  return std::all_of(bytes_.begin(), bytes_.begin() + 10,
                     [](uint8_t byte) { return byte == 0; }) &&
         bytes_[10] == 0xff && bytes_[11] == 0xff;
}

absl::StatusOr<IpNetwork> IpNetwork::FromText(absl::string_view text) {
  const auto refused = [text](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a network", what,
                     "; write such as 10.0.0.0/8, fd00::/8 or 192.0.2.1"));
  };
  const size_t slash = text.find('/');
  const absl::string_view first = text.substr(0, slash);
  const std::optional<IpAddress> address =
      IpAddress::FromText({first.data(), first.size()});
  if (!address) return refused("");
  IpNetwork network;
  network.first_ = *address;
  if (slash == absl::string_view::npos) return network;

  // As it is written: "::ffff:10.0.0.0/104" counts all 128 bits.
  const int offset =
      first.find(':') == absl::string_view::npos ? kMappedBits : 0;
  const absl::string_view digits = text.substr(slash + 1);
  int length = 0;
  const bool is_number = !digits.empty() && digits.size() <= 3 &&
                         std::all_of(digits.begin(), digits.end(), [](char c) {
                           return c >= '0' && c <= '9';
                         });
  if (!is_number || !absl::SimpleAtoi(digits, &length) ||
      length > 128 - offset) {
    return refused(absl::StrCat(": its prefix is not 0 to ", 128 - offset));
  }
  network.prefix_ = offset + length;
  for (int i = network.prefix_; i < 128; ++i) {
    if (BitAt(address->bytes_, i)) {
      return refused(": the address has bits beyond its prefix");
    }
  }
  return network;
}

bool IpNetwork::Contains(const IpAddress& address) const {
  // "::/0" is all of IPv6, and not what is IPv4.
  if (address.is_v4() != first_.is_v4()) return false;
  const int bytes = prefix_ / 8;
  const int bits = prefix_ % 8;
  if (!std::equal(first_.bytes_.begin(), first_.bytes_.begin() + bytes,
                  address.bytes_.begin())) {
    return false;
  }
  return bits == 0 ||
         (first_.bytes_[bytes] ^ address.bytes_[bytes]) >> (8 - bits) == 0;
}

std::string IpNetwork::ToString() const {
  const int offset = first_.is_v4() ? kMappedBits : 0;
  return absl::StrCat(first_.ToString(), "/", prefix_ - offset);
}

}  // namespace waggle
