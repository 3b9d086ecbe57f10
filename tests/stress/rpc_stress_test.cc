// Streams that open, cancel, rotate, tick and drain against one another,
// through a real server: the registry and the reactors have no other life.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

class RpcStress : public RpcTest {
 protected:
  // Opens streams and leaves them in every way, until there are no more.
  void OpenAndLeave(int client, const std::atomic<bool>& over) {
    const auto own = v1::EventService::NewStub(NewChannel());
    for (int round = 0; !over; ++round) {
      v1::SubscribeRequest request = FromEarliest();
      if (round % 3 == 1) request.mutable_since()->set_seconds(1);
      request.set_stop_when_caught_up(round % 2 == 0);
      if (client % 2 == 1) request.add_filters()->add_models("none");
      TestStream stream(*own, request);
      v1::SubscribeResponse response;
      for (int reads = 0; reads < round % 5; ++reads) stream.Read(response);
      if (round % 4 == 3) stream.Cancel();
    }
  }
};

TEST_F(RpcStress, StreamsComeAndGoWhileEventsAreStoredAndTheServerDrains) {
  GrpcOptions options;
  options.streams.all = 6;
  options.max_stream_age = absl::Seconds(1);
  HubOptions hub_options;
  hub_options.tail_bytes = 4000;
  Start(options, hub_options);
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([this, i, &over] { OpenAndLeave(i, over); });
  }
  threads.emplace_back([this] {
    for (int i = 0; i < 300; ++i) {
      server->UpdateMetrics();
      server->SetServing(i % 2 == 0);
    }
  });
  for (uint64_t n = 1; n <= 2000; n += 20) AppendNumbered(store, n, n + 19);
  server->Drain(absl::Seconds(30));
  over = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace waggle::rpc
