#include "http/handshake_queue.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/connection.h"

namespace waggle {
namespace {

// Only told apart here, never looked at.
Connection* Number(int n) { return reinterpret_cast<Connection*>(n * 64); }

TEST(HandshakeQueueTest, AddressesTakeTurns) {
  HandshakeQueue queue;
  EXPECT_TRUE(queue.empty());
  for (int i = 1; i <= 4; ++i) queue.Push("flood", Number(i));
  queue.Push("a", Number(5));
  queue.Push("b", Number(6));
  queue.Push("b", Number(7));
  std::vector<Connection*> order;
  order.push_back(queue.Pop());
  queue.Push("late", Number(8));
  while (!queue.empty()) order.push_back(queue.Pop());
  EXPECT_THAT(order, ::testing::ElementsAre(Number(1), Number(5), Number(6),
                                            Number(2), Number(8), Number(7),
                                            Number(3), Number(4)));
}

TEST(HandshakeQueueTest, AnAddressThatWasServedStartsAnew) {
  HandshakeQueue queue;
  queue.Push("a", Number(1));
  EXPECT_EQ(queue.Pop(), Number(1));
  EXPECT_TRUE(queue.empty());
  queue.Push("a", Number(2));
  EXPECT_EQ(queue.Pop(), Number(2));
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace waggle
