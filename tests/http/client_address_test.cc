#include "http/client_address.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"

namespace waggle {
namespace {

// Proxies are in 10.0.0.0/8 and in fd00::/8.
std::string Client(std::string_view peer,
                   const std::vector<std::string_view>& forwarded_for) {
  std::vector<IpNetwork> trusted;
  for (const char* network : {"10.0.0.0/8", "fd00::/8"}) {
    trusted.push_back(*IpNetwork::FromText(network));
  }
  return ClientAddress(peer, forwarded_for, trusted);
}

TEST(ClientAddress, IsThePeerIfThatIsNoTrustedProxy) {
  EXPECT_EQ(Client("203.0.113.9", {"192.0.2.1"}), "203.0.113.9");
  EXPECT_EQ(Client("203.0.113.9", {}), "203.0.113.9");
  EXPECT_EQ(Client("", {"192.0.2.1"}), "");
  EXPECT_EQ(Client("11.0.0.1", {"192.0.2.1"}), "11.0.0.1");
  EXPECT_EQ(ClientAddress("10.0.0.1", {"192.0.2.1"}, {}), "10.0.0.1");
}

TEST(ClientAddress, IsWhatTheTrustedProxyWrote) {
  EXPECT_EQ(Client("10.0.0.1", {"192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(Client("::ffff:10.0.0.1", {"192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(Client("fd00::1", {"2001:DB8::1"}), "2001:db8::1");
  EXPECT_EQ(Client("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddress, IsNotWhatTheClientWroteBeforeThat) {
  EXPECT_EQ(Client("10.0.0.1", {"198.51.100.7, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {"10.0.0.2, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {"198.51.100.7", "192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {"nonsense,,;\"", "192.0.2.1"}), "192.0.2.1");
}

TEST(ClientAddress, PassesEveryTrustedProxy) {
  EXPECT_EQ(Client("10.0.0.1", {"198.51.100.7, 192.0.2.1 ,\t10.9.9.9,fd00::2"}),
            "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {"192.0.2.1", "10.9.9.9", "fd00::2"}),
            "192.0.2.1");
}

TEST(ClientAddress, IsTheFirstIfAllAreTrustedProxies) {
  EXPECT_EQ(Client("10.0.0.1", {"10.0.0.3, 10.0.0.2"}), "10.0.0.3");
}

TEST(ClientAddress, MayHaveAPort) {
  EXPECT_EQ(Client("10.0.0.1", {"192.0.2.1:51234"}), "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {"[2001:db8::1]:51234"}), "2001:db8::1");
  EXPECT_EQ(Client("10.0.0.1", {"[2001:db8::1]"}), "2001:db8::1");
}

TEST(ClientAddress, WhatIsNoAddressEndsTheSearch) {
  for (const std::string_view entry :
       {"", " ", "unknown", "_hidden", "192.0.2.1:", "192.0.2.1:x",
        "192.0.2.1:123456", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]",
        "[2001:db8::1]x", "[2001:db8::1]:", "192.0.2.1/32", "192.0.2.1 x",
        "for=192.0.2.1", "\"192.0.2.1\"", "192.0.2.256", "\xff\xfe"}) {
    EXPECT_EQ(Client("10.0.0.1", {entry}), "10.0.0.1") << entry;
    const std::string behind =
        absl::StrCat("192.0.2.1,", std::string(entry), ", 10.0.0.2");
    EXPECT_EQ(Client("10.0.0.1", {behind}), "10.0.0.2") << entry;
  }
}

TEST(ClientAddress, BelievesSoManyProxiesInARow) {
  std::string list = "192.0.2.1";
  for (int i = 1; i < 32; ++i) list += ",10.0.0.2";
  EXPECT_EQ(Client("10.0.0.1", {list}), "192.0.2.1");
  EXPECT_EQ(Client("10.0.0.1", {list + ",10.0.0.2"}), "10.0.0.2");
}

// Whatever a client sends before what the proxy appends changes nothing.
RC_GTEST_PROP(ClientAddressProperty, AStrangerCannotChooseIt,
              (const std::string& sent)) {
  const std::string list = sent + ", 192.0.2.1";
  RC_ASSERT(Client("10.0.0.1", {list}) == "192.0.2.1");
  RC_ASSERT(Client("10.0.0.1", {sent, "192.0.2.1"}) == "192.0.2.1");
  RC_ASSERT(Client("203.0.113.9", {list}) == "203.0.113.9");
}

}  // namespace
}  // namespace waggle
