// The limits of open streams, without a connection: a client of gRPC keeps to
// the limit per connection by itself, so only others meet it here.
#include "api/stream_registry.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/subscribe_stream.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

class StreamRegistryTest : public RpcTest {
 protected:
  void SetUp() override {
    access = AccessControl::Open(clock);
    hub = std::make_unique<EventHub>(store, readers, HubOptions());
    subscribers = std::make_unique<SubscriberJournal>(store, *hub, memory,
                                                      *access, clock, metrics);
    gate = std::make_unique<Gate>(*access, GateLimits(), metrics);
    registry = std::make_unique<StreamRegistry>(StreamLimits{
        .all = 8, .per_principal = 2, .per_address = 4, .per_connection = 3});
  }
  void TearDown() override {
    while (!streams.empty()) RemoveNewest();
  }

  // What is in the way of one more stream; empty if it was added.
  std::string Add(const StreamOwner& owner) {
    contexts.push_back(std::make_unique<grpc::CallbackServerContext>());
    streams.push_back(SubscribeStream::Create(*hub, *registry, *subscribers,
                                              *gate, *contexts.back()));
    const std::optional<StreamQuota> quota =
        registry->Add(streams.back(), owner);
    if (!quota.has_value()) return "";
    RemoveNewest();
    return std::string(quota->what);
  }
  // As gRPC ends a call.
  void RemoveNewest() {
    streams.back()->OnDone();
    streams.pop_back();
    contexts.pop_back();
  }

  std::unique_ptr<Gate> gate;
  std::unique_ptr<StreamRegistry> registry;
  std::vector<std::unique_ptr<grpc::CallbackServerContext>> contexts;
  std::vector<std::shared_ptr<SubscribeStream>> streams;
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
}  // namespace waggle::rpc
