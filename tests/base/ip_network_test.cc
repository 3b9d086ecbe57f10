#include "base/ip_network.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

IpAddress Address(std::string_view text) {
  const auto address = IpAddress::FromText(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress());
}

IpNetwork Network(std::string_view text) {
  const auto network = IpNetwork::FromText(std::string(text));
  EXPECT_TRUE(network.ok()) << network.status();
  return network.ok() ? *network : IpNetwork();
}

TEST(IpAddress, IsTheSameHoweverItIsWritten) {
  EXPECT_EQ(Address("::ffff:192.0.2.1"), Address("192.0.2.1"));
  EXPECT_EQ(Address("::ffff:c000:201").ToString(), "192.0.2.1");
  EXPECT_EQ(Address("2001:DB8:0::1").ToString(), "2001:db8::1");
  EXPECT_TRUE(Address("::ffff:10.0.0.1").is_v4());
  EXPECT_FALSE(Address("::1").is_v4());
  EXPECT_FALSE(Address("::ffff:0:0:1").is_v4());
}

TEST(IpAddress, IsNothingElse) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("10.0.0"),
        std::string_view("10.0.0.256"), std::string_view("010.0.0.1"),
        std::string_view("10.0.0.1 "), std::string_view("10.0.0.1:80"),
        std::string_view("[::1]"), std::string_view("fe80::1%eth0"),
        std::string_view(":::"), std::string_view("localhost"),
        std::string_view("10.0.0.1\0.5", 11)}) {
    EXPECT_FALSE(IpAddress::FromText(text).has_value()) << text;
  }
}

TEST(IpNetwork, HoldsTheAddressesOfItsPrefix) {
  struct Case {
    const char* network;
    const char* address;
    bool contains;
  };
  for (const Case& c : {
           Case{"10.0.0.0/8", "10.255.255.255", true},
           Case{"10.0.0.0/8", "11.0.0.0", false},
           Case{"10.0.0.0/8", "::ffff:10.1.2.3", true},
           Case{"172.16.0.0/12", "172.31.255.255", true},
           Case{"172.16.0.0/12", "172.32.0.0", false},
           Case{"192.0.2.1", "192.0.2.1", true},
           Case{"192.0.2.1", "192.0.2.2", false},
           Case{"192.0.2.128/25", "192.0.2.127", false},
           Case{"0.0.0.0/0", "203.0.113.9", true},
           Case{"0.0.0.0/0", "::1", false},
           Case{"::/0", "2001:db8::1", true},
           Case{"::/0", "203.0.113.9", false},
           Case{"::ffff:10.0.0.0/104", "10.9.9.9", true},
           Case{"fd00::/8", "fdff::1", true},
           Case{"fd00::/8", "fe00::1", false},
           Case{"2001:db8::/61", "2001:db8:0:7::1", true},
           Case{"2001:db8::/61", "2001:db8:0:8::1", false},
           Case{"2001:db8::1/128", "2001:db8::1", true},
           Case{"2001:db8::1/128", "2001:db8::2", false},
       }) {
    EXPECT_EQ(Network(c.network).Contains(Address(c.address)), c.contains)
        << c.network << " " << c.address;
  }
}

TEST(IpNetwork, IsReadFromWhatItWrites) {
  for (const char* text : {"10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "::/0",
                           "fd00::/8", "2001:db8::1/128"}) {
    EXPECT_EQ(Network(text).ToString(), text);
  }
  EXPECT_EQ(Network("192.0.2.1").ToString(), "192.0.2.1/32");
}

TEST(IpNetwork, SaysWhatIsWrong) {
  struct Case {
    const char* text;
    const char* problem;
  };
  for (const Case& c :
       {Case{"", "is not a network;"}, Case{"private", "is not a network;"},
        Case{"/8", "is not a network;"},
        Case{"10.0.0.0/", "prefix is not 0 to 32"},
        Case{"10.0.0.0/33", "prefix is not 0 to 32"},
        Case{"10.0.0.0/-1", "prefix is not 0 to 32"},
        Case{"10.0.0.0/8/8", "prefix is not 0 to 32"},
        Case{"10.0.0.0/+8", "prefix is not 0 to 32"},
        Case{"10.0.0.0/99999999999", "prefix is not 0 to 32"},
        Case{"fd00::/129", "prefix is not 0 to 128"},
        Case{"10.0.0.1/8", "bits beyond its prefix"},
        Case{"::ffff:10.0.0.0/8", "bits beyond its prefix"}}) {
    const absl::Status status = IpNetwork::FromText(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.problem));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("\"", c.text, "\"")));
    EXPECT_THAT(std::string(status.message()), HasSubstr("write such as"));
  }
}

}  // namespace
}  // namespace waggle
