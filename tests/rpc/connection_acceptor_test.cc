// Connections to the gRPC listener: how many may be open, and that gRPC's
// closing one makes room.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::waggle::testing::WaitFor;

// A connection on which nothing is sent.
class RawConnection {
 public:
  RawConnection(int port, const char* source)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, source, &address.sin_addr);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(
        connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
        0);
  }
  RawConnection(RawConnection&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  RawConnection& operator=(RawConnection&&) = delete;
  ~RawConnection() {
    if (fd_ >= 0) close(fd_);
  }

  // The server speaks first in HTTP/2, if it is going to speak at all.
  bool IsServed() {
    char byte;
    return recv(fd_, &byte, 1, 0) == 1;
  }

 private:
  int fd_;
};

class ConnectionAcceptorTest : public RpcTest {
 protected:
  void StartWith(ConnectionQuota quota) {
    GrpcOptions options;
    options.connections = quota;
    Start(options);
  }
  RawConnection Connect(const char* source = "127.0.0.1") {
    return {server->port(), source};
  }
  // So many that are served.
  std::vector<RawConnection> Hold(int count) {
    std::vector<RawConnection> held;
    for (int i = 0; i < count; ++i) {
      held.push_back(Connect());
      EXPECT_TRUE(held.back().IsServed());
    }
    return held;
  }
  double Open() {
    server->UpdateMetrics();
    return metrics.Gauge("waggle_grpc_connections", "").Value();
  }
};

TEST_F(ConnectionAcceptorTest, ConnectionsBeyondTheLimitAreClosed) {
  StartWith({.all = 3, .per_address = 3});
  const std::vector<RawConnection> held = Hold(3);
  EXPECT_FALSE(Connect().IsServed());
  EXPECT_FALSE(Connect("127.0.0.2").IsServed());
  EXPECT_EQ(Open(), 3);
  EXPECT_EQ(
      metrics.Counter("waggle_grpc_connections_refused_total", "").Value(), 2);
}

TEST_F(ConnectionAcceptorTest, OneAddressTakesOnlyItsShare) {
  StartWith({.all = 100, .per_address = 2});
  const std::vector<RawConnection> held = Hold(2);
  EXPECT_FALSE(Connect().IsServed());
  EXPECT_TRUE(Connect("127.0.0.2").IsServed());
}

TEST_F(ConnectionAcceptorTest, WhatIsClosedMakesRoom) {
  StartWith({.all = 2, .per_address = 2});
  for (int round = 0; round < 50; ++round) {
    std::vector<RawConnection> held = Hold(2);
    EXPECT_EQ(Open(), 2);
    held.clear();
    WaitFor([&] { return Open() == 0; });
  }
}

TEST_F(ConnectionAcceptorTest, AFullDoorLooksForRoomByItself) {
  StartWith({.all = 1, .per_address = 1});
  {
    const std::vector<RawConnection> held = Hold(1);
    EXPECT_FALSE(Connect().IsServed());
  }
  WaitFor([&] { return Connect().IsServed(); });
}

TEST_F(ConnectionAcceptorTest, CallsGoOnBesideRefusedConnections) {
  StartWith({.all = 2, .per_address = 2});
  TestStream stream(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  const std::vector<RawConnection> held = Hold(1);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Connect().IsServed());
  AppendNumbered(store, 1, 3);
  EXPECT_EQ(stream.ReadSequences(3), Range(1, 3));
}

}  // namespace
}  // namespace waggle::rpc
