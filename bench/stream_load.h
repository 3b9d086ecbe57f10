// Subscribers that take what comes and count it without looking at it: raw
// messages over a few connections.
#ifndef WAGGLE_BENCH_STREAM_LOAD_H_
#define WAGGLE_BENCH_STREAM_LOAD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle::bench {

class CountingSubscriber;

// For one thread.
class Subscribers {
 public:
  // Opens `connections` connections to localhost:`port`; over TLS if there is
  // an authority, in PEM, that vouches for the server. `token` is shown unless
  // it is empty.
  Subscribers(int port, int connections, const std::string& authority = "",
              const std::string& token = "");
  // Cancels what is open, and waits.
  ~Subscribers();

  // Adds that many streams, spread over the connections, and returns once each
  // has had its first response.
  void Add(int count, const v1::SubscribeRequest& request);
  // Waits until every stream was ended, well, by the server.
  void WaitUntilEnded();

  // Events that all streams have been given.
  uint64_t events() const;

 private:
  const std::string token_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<CountingSubscriber>> subscribers_;
};

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_STREAM_LOAD_H_
