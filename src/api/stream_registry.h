// The open streams of all methods: how many there are, the clock that moves
// them (heartbeats, age), and what happens to them when the gateway drains.
#ifndef WAGGLE_API_STREAM_REGISTRY_H_
#define WAGGLE_API_STREAM_REGISTRY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api/gate.h"
#include "base/mutex.h"

namespace waggle {

// A call that goes on until somebody ends it. Thread-safe.
class Stream {
 public:
  virtual ~Stream() = default;

  // Sends a heartbeat, or ends the stream, if it is time, or if its caller may
  // no longer have what it gives.
  virtual void Tick() = 0;
  // Ends the stream once it has sent what there is.
  virtual void Drain() = 0;
  // Ends it now, even if the client does not read.
  virtual void Abort() = 0;
};

struct StreamLimits {
  // At once: over all, and of one each.
  int all = 4096;
  int per_principal = 1024;
  int per_address = 2048;
  // gRPC's own limit binds only clients that acknowledge it.
  int per_connection = 1024;
};

// Whom a stream counts for.
struct StreamOwner {
  std::string principal;
  std::string address;
  std::string connection;
};

// A limit that is reached.
struct StreamQuota {
  // "streams", "streams of one principal", ...
  std::string_view what;
  int limit;
};

// Thread-safe. No lock is held while a stream is called.
class StreamRegistry {
 public:
  // `on_tick` is called after the streams' ticks, four times a second.
  explicit StreamRegistry(
      const StreamLimits& limits, std::function<void()> on_tick = [] {});
  ~StreamRegistry();

  // The limit that is in the way, if one is; then the stream was not added.
  std::optional<StreamQuota> Add(const std::shared_ptr<Stream>& stream,
                                 StreamOwner owner);
  // Adds the stream of a call that the gate let in, unless the gateway is
  // draining. OK, or what to end the call with; a stream that was added all the
  // same removes itself at its end.
  absl::Status Enter(const std::shared_ptr<Stream>& stream,
                     const Admission& admission, Gate& gate,
                     std::string_view method);
  void Remove(const Stream* stream);

  // Asks every stream to end once it has sent what is committed. Those that
  // come later are told the same.
  void Drain();
  bool draining() const;
  // Waits until no stream is open; false if the timeout came first.
  bool WaitUntilEmpty(absl::Duration timeout);
  // Ends what is still open, be its client reading or not.
  void Abort();

 private:
  std::vector<std::shared_ptr<Stream>> Snapshot() const;
  void RunTicker();

  struct Entry {
    std::shared_ptr<Stream> stream;
    StreamOwner owner;
  };
  // How many streams each has; none has 0.
  using Counts = absl::flat_hash_map<std::string, int>;

  const StreamLimits limits_;
  const std::function<void()> on_tick_;

  mutable Mutex mu_;
  CondVar changed_;
  // A stream is here from Add() to its OnDone.
  absl::flat_hash_map<const Stream*, Entry> streams_ ABSL_GUARDED_BY(mu_);
  Counts by_principal_ ABSL_GUARDED_BY(mu_);
  Counts by_address_ ABSL_GUARDED_BY(mu_);
  Counts by_connection_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread ticker_;
};

}  // namespace waggle

#endif  // WAGGLE_API_STREAM_REGISTRY_H_
