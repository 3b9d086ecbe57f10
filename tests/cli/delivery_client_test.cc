#include "cli/delivery_client.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/fake_gateway.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<uint64_t> IdsOf(const std::vector<v1::Delivery>& deliveries) {
  std::vector<uint64_t> ids;
  for (const v1::Delivery& delivery : deliveries) ids.push_back(delivery.id());
  return ids;
}

v1::WatchDeliveriesResponse ResponseWith(std::vector<uint64_t> ids,
                                         uint64_t skipped = 0) {
  v1::WatchDeliveriesResponse response;
  for (const uint64_t id : ids) *response.add_deliveries() = DeliveryWithId(id);
  response.set_skipped(skipped);
  return response;
}

class DeliveryClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<GatewayClient> Dial() {
    return *GatewayClient::Dial({.address = gateway_.address()});
  }

  ListedDeliveries List(size_t max) {
    const auto client = Dial();
    const auto stub = v1::DeliveryService::NewStub(client->channel());
    return ListDeliveries(*client, *stub, {}, max);
  }

  // Follows until the gateway's script is over, which refuses.
  StreamEnd Follow(size_t first = 100) {
    const auto client = Dial();
    v1::DeliveryFilter filter;
    filter.add_endpoints("bindbee");
    filter.mutable_since()->set_seconds(1);
    DeliveryFollower follower(*client, filter, first, {},
                              [](absl::Duration) {});
    return follower.Run(
        {.deliveries =
             [this](const std::vector<v1::Delivery>& some) {
               for (const uint64_t id : IdsOf(some)) {
                 followed_.push_back(id);
               }
               return followed_.size() < stop_after_;
             },
         .interrupted = [this](const StreamEnd&,
                               absl::Duration) { ++interruptions_; },
         .left_out = [] { FAIL() << "nothing is left out"; }});
  }

  FakeGateway gateway_;
  std::vector<uint64_t> followed_;
  size_t stop_after_ = 1000;
  int interruptions_ = 0;
};

TEST_F(DeliveryClientTest, ListsTheNewestOldestFirstOverPages) {
  gateway_.Record(1, 8);
  const ListedDeliveries all = List(100);
  EXPECT_THAT(IdsOf(all.deliveries), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_FALSE(all.more);
  const ListedDeliveries some = List(4);
  EXPECT_THAT(IdsOf(some.deliveries), ElementsAre(5, 6, 7, 8));
  EXPECT_TRUE(some.more);
}

TEST_F(DeliveryClientTest, ListingTellsOfAnError) {
  gateway_.status = {grpc::StatusCode::PERMISSION_DENIED, "no"};
  EXPECT_EQ(List(1).end.code, grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(DeliveryClientTest, FollowsFromTheLogIntoTheStream) {
  gateway_.Record(1, 5);
  gateway_.OnWatch([](grpc::ServerContext&, const FakeGateway::Send& send) {
    send(ResponseWith({}));
    send(ResponseWith({6}));
    send(ResponseWith({}));
    send(ResponseWith({7, 8}));
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "over");
  });
  EXPECT_EQ(Follow(/*first=*/2).code, grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(followed_, ElementsAre(4, 5, 6, 7, 8));
  // A stream has no beginning in time; the log has.
  EXPECT_FALSE(gateway_.watches()[0].filter().has_since());
  EXPECT_THAT(gateway_.watches()[0].filter().endpoints(),
              ElementsAre("bindbee"));
  EXPECT_TRUE(gateway_.lists()[0].filter().has_since());
}

// What is recorded while no stream is open is in the log by the time of the
// next one's first response, and may be in the stream, too.
TEST_F(DeliveryClientTest, MissesAndRepeatsNothingBetweenStreams) {
  gateway_.OnWatch([this](grpc::ServerContext&, const FakeGateway::Send& send) {
    send(ResponseWith({}));
    gateway_.Record(1, 2);
    send(ResponseWith({1, 2}));
    gateway_.Record(3, 9);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
  });
  gateway_.OnWatch([this](grpc::ServerContext&, const FakeGateway::Send& send) {
    gateway_.Record(10, 10);
    send(ResponseWith({9, 10}));
    send(ResponseWith({11}));
    return grpc::Status::OK;
  });
  Follow();
  EXPECT_THAT(followed_, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_EQ(interruptions_, 2);
}

TEST_F(DeliveryClientTest, ReadsFromTheLogWhatTheGatewayLeftOut) {
  gateway_.OnWatch([this](grpc::ServerContext&, const FakeGateway::Send& send) {
    send(ResponseWith({}));
    gateway_.Record(1, 1);
    send(ResponseWith({1}));
    gateway_.Record(2, 8);
    send(ResponseWith({7, 8}, /*skipped=*/5));
    return grpc::Status::OK;
  });
  Follow();
  EXPECT_THAT(followed_, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

TEST_F(DeliveryClientTest, EndsWhenNobodyWantsMore) {
  stop_after_ = 1;
  gateway_.OnWatch(
      [](grpc::ServerContext& context, const FakeGateway::Send& send) {
        send(ResponseWith({}));
        send(ResponseWith({1}));
        return grpc::Status::OK;
      });
  EXPECT_TRUE(Follow().ok());
  EXPECT_THAT(followed_, ElementsAre(1));
  EXPECT_EQ(gateway_.watches().size(), 1u);
}

TEST_F(DeliveryClientTest, EndsAtOnceIfItWasStoppedBefore) {
  const auto client = Dial();
  DeliveryFollower follower(*client, {}, 10, {});
  follower.Stop();
  EXPECT_TRUE(follower.Run({}).ok());
  EXPECT_THAT(gateway_.watches(), IsEmpty());
}

}  // namespace
}  // namespace waggle
