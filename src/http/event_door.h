// GET /v1/events: what Subscribe streams, as server-sent events, for browsers
// and curl. The same filters, as query parameters (event_query.h), the same
// rights, limits and errors; the header Last-Event-ID is the cursor.
//
// A request that is refused gets application/problem+json; a stream that ends
// for a reason says it in a last event named "error". A stream that does not
// read holds one batch, and no thread.
#ifndef WAGGLE_HTTP_EVENT_DOOR_H_
#define WAGGLE_HTTP_EVENT_DOOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "api/event_streams.h"
#include "api/gate.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "http/guarded_server.h"
#include "http/http_message.h"
#include "net/connection_limits.h"
#include "security/access_control.h"
#include "stream/event_hub.h"

namespace waggle {

// Thread-safe.
class EventDoor {
 public:
  struct Limits {
    // Streams at once, besides the limits over all doors: so that they leave
    // the door to its probes, and since each that is not read may hold some MiB
    // of text.
    size_t max_streams = 64;
    size_t max_streams_per_address = 32;
  };

  // `local`, if not null, is whoever shows no credentials. All else must
  // outlive the door.
  EventDoor(EventStreams& streams, const EventHub& hub,
            const AccessControl& access, CallCounts& calls, Metrics& metrics,
            std::shared_ptr<const Principal> local, const Limits& limits);
  // Waits for its streams to end: the server that sends them must have stopped.
  ~EventDoor();

  // A request for `kEventsPath`.
  void Serve(const HttpRequest& request, HttpResponder respond);

 private:
  class SseStream;

  absl::Status TryServe(const HttpRequest& request, HttpResponder& respond);
  void Enter() ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(const std::string& address) ABSL_LOCKS_EXCLUDED(mu_);

  EventStreams& streams_;
  const EventHub& hub_;
  Gate gate_;
  const Limits limits_;
  ConnectionLimits places_;
  std::atomic<uint64_t> requests_ = 0;
  Mutex mu_;
  CondVar left_;
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  // Write the events as text, which is too much for the threads that wake
  // streams. Last, so that what it runs ends before what that uses is gone.
  ThreadPool writers_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_EVENT_DOOR_H_
