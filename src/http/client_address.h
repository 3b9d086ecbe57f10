// Who a request comes from, if proxies stand between: the client's address as
// far as they can be believed.
//
// Each proxy appends the address that it was reached from to X-Forwarded-For;
// what stands before that is what it was told, by anybody. So the list is read
// from its end, for as long as the one who wrote the entry is a trusted proxy.
#ifndef WAGGLE_HTTP_CLIENT_ADDRESS_H_
#define WAGGLE_HTTP_CLIENT_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "base/ip_network.h"

namespace waggle {

// `peer` is the address of the connection, `forwarded_for` the values of all
// X-Forwarded-For fields in their order. The last address that is not a trusted
// proxy's; the first one if all are. Entries may have a port. One that is no
// address ends the search: then it is whoever wrote it.
std::string ClientAddress(std::string_view peer,
                          absl::Span<const std::string_view> forwarded_for,
                          absl::Span<const IpNetwork> trusted_proxies);

}  // namespace waggle

#endif  // WAGGLE_HTTP_CLIENT_ADDRESS_H_
