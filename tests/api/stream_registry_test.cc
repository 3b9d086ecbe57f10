// The limits of open streams, without a connection: a client of gRPC keeps to
// the limit per connection by itself, so only others meet it here.
#include "api/stream_registry.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace waggle {
namespace {

struct IdleStream : Stream {
  void Tick() override {}
  void Drain() override {}
  void Abort() override {}
};

class StreamRegistryTest : public ::testing::Test {
 protected:
  // What is in the way of one more stream; empty if it was added.
  std::string Add(const StreamOwner& owner) {
    streams_.push_back(std::make_shared<IdleStream>());
    const std::optional<StreamQuota> quota =
        registry_.Add(streams_.back(), owner);
    if (!quota.has_value()) return "";
    RemoveNewest();
    return std::string(quota->what);
  }
  // As a stream that ends.
  void RemoveNewest() {
    registry_.Remove(streams_.back().get());
    streams_.pop_back();
  }

  StreamRegistry registry_{StreamLimits{
      .all = 8, .per_principal = 2, .per_address = 4, .per_connection = 3}};
  std::vector<std::shared_ptr<IdleStream>> streams_;
};

TEST_F(StreamRegistryTest, CountsPerPrincipal) {
  EXPECT_EQ(Add({"a", "1", "1:1"}), "");
  EXPECT_EQ(Add({"a", "2", "2:1"}), "");
  EXPECT_EQ(Add({"a", "3", "3:1"}), "streams of one principal");
  EXPECT_EQ(Add({"b", "3", "3:1"}), "");
}

TEST_F(StreamRegistryTest, CountsPerConnection) {
  for (const char* principal : {"a", "b", "c"}) {
    EXPECT_EQ(Add({principal, "1", "1:1"}), "");
  }
  EXPECT_EQ(Add({"d", "1", "1:1"}), "streams of one connection");
  EXPECT_EQ(Add({"d", "1", "1:2"}), "");
}

TEST_F(StreamRegistryTest, CountsPerAddress) {
  for (const char* n : {"a", "b", "c", "d"}) {
    EXPECT_EQ(Add({n, "1", n}), "");
  }
  EXPECT_EQ(Add({"e", "1", "e"}), "streams of one address");
  EXPECT_EQ(Add({"e", "2", "e"}), "");
}

TEST_F(StreamRegistryTest, CountsAll) {
  for (const char* n : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    EXPECT_EQ(Add({n, n, n}), "");
  }
  EXPECT_EQ(Add({"i", "i", "i"}), "streams");
}

TEST_F(StreamRegistryTest, AStreamThatEndsMakesRoom) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Add({"a", "1", "1:1"}), "");
    EXPECT_EQ(Add({"a", "1", "1:1"}), "");
    EXPECT_EQ(Add({"a", "1", "1:1"}), "streams of one principal");
    RemoveNewest();
    RemoveNewest();
  }
}

}  // namespace
}  // namespace waggle
