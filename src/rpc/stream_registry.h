// The open Subscribe streams: how many there are, the clock that moves them
// (heartbeats, age), and what happens to them when the gateway drains.
#ifndef WAGGLE_RPC_STREAM_REGISTRY_H_
#define WAGGLE_RPC_STREAM_REGISTRY_H_

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "event/sequence.h"

namespace waggle::rpc {

class SubscribeStream;

// Thread-safe. No lock is held while a stream is called.
class StreamRegistry {
 public:
  // At most `max_streams` streams at once. `metrics` must outlive the registry.
  StreamRegistry(int max_streams, Metrics& metrics);
  ~StreamRegistry();

  // False if there are too many.
  bool Add(const std::shared_ptr<SubscribeStream>& stream);
  void Remove(const SubscribeStream* stream);

  int max_streams() const { return max_streams_; }

  // Asks every stream to end once it has sent what is committed. Those that
  // come later are told the same.
  void Drain();
  bool draining() const;
  // Waits until no stream is open; false if the timeout came first.
  bool WaitUntilEmpty(absl::Duration timeout);
  // Ends what is still open, be its client reading or not.
  void Abort();

  // Puts how far the stream that is furthest behind is behind `last` into the
  // gauge. For the moment of a scrape.
  void UpdateLag(Sequence last);

  // Events that streams have handed to the transport.
  prometheus::Counter& delivered() { return delivered_; }

 private:
  std::vector<std::shared_ptr<SubscribeStream>> Snapshot() const;
  void RunTicker();

  const int max_streams_;
  prometheus::Gauge& open_;
  prometheus::Counter& opened_;
  prometheus::Counter& delivered_;
  prometheus::Gauge& lag_;

  mutable Mutex mu_;
  CondVar changed_;
  // A stream is here from Add() to its OnDone.
  absl::flat_hash_map<const SubscribeStream*, std::shared_ptr<SubscribeStream>>
      streams_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread ticker_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_STREAM_REGISTRY_H_
