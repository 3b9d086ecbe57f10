// The loop of a consumer, which subscribes and goes on for ever: it reconnects
// when a stream breaks, resumes by the cursor of the last response that was
// handled, waits longer and longer in between, and notices connections that
// died in silence. The reference for consumers in other languages.
//
//   class Handler : public Subscriber { ... };
//   SubscriberClient client(
//       [] {
//         return v1::EventService::NewStub(DialGateway("127.0.0.1:50051"));
//       },
//       {.request = request});
//   StreamEnd end = client.Run(handler);
//
// Every event that the filters match is handled at least once, in order: a
// response is resumed after only once OnResponse has returned for it. To
// survive the end of its own process, a consumer keeps the cursor where it
// keeps what it made of the events, and starts with request.after_cursor.
//
// What ends the loop: Stop(), OnResponse returning false, everything told of a
// request with stop_when_caught_up, an error that trying again does not mend,
// and a gap (see OnGap).
#ifndef WAGGLE_CLI_SUBSCRIBER_CLIENT_H_
#define WAGGLE_CLI_SUBSCRIBER_CLIENT_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "cli/dial.h"
#include "cli/reconnector.h"
#include "cli/stream_end.h"
#include "waggle/v1/event_service.grpc.pb.h"

namespace waggle {

// Gets what the client receives, on the thread of SubscriberClient::Run.
class Subscriber {
 public:
  virtual ~Subscriber() = default;

  // Handles the events, of which there are none in a heartbeat; the cursor is
  // behind all of them. May block: the gateway then waits, at no cost to
  // others. False ends the subscription.
  virtual bool OnResponse(const v1::SubscribeResponse& response) = 0;

  // The stream ended; the next one is tried after `pause`.
  virtual void OnInterrupted(const StreamEnd& end, absl::Duration pause) {}
};

// How to go on when the cursor leads nowhere: events were removed before they
// were seen, or the cursor is of another store.
enum class OnGap {
  kFail,      // Not at all.
  kEarliest,  // With the oldest event that there is.
  kLatest,    // With new events only.
};

struct SubscriberOptions {
  v1::SubscribeRequest request;
  OnGap on_gap = OnGap::kFail;
  // The silence timeout: two to three times request.heartbeat_interval.
  ReconnectOptions reconnect{};
};

class SubscriberClient {
 public:
  using Sleep = Reconnector::Sleep;
  using Connect =
      std::function<std::unique_ptr<v1::EventService::StubInterface>()>;

  // `connect` dials anew, for each attempt: a connection that died in silence
  // would be as dead for the next stream. `sleep` replaces the waiting between
  // attempts, for tests; by default Stop() cuts it short.
  SubscriberClient(Connect connect, SubscriberOptions options,
                   Sleep sleep = nullptr);

  // Blocks until the loop ends, see above; OK, or the error that ended it. To
  // be called once.
  StreamEnd Run(Subscriber& subscriber);

  // Ends Run soon, between two responses. From any thread, also from within the
  // subscriber; idempotent.
  void Stop();

 private:
  // One stream, from its request to its status.
  StreamEnd RunStream(Subscriber& subscriber);
  // Chooses the new start that `on_gap` asks for; false if it asks for none.
  bool CrossGap(const StreamEnd& end);

  const Connect connect_;
  const SubscriberOptions options_;
  Reconnector reconnector_;
  // The next attempt's: its start moves along with what was handled.
  v1::SubscribeRequest request_;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_SUBSCRIBER_CLIENT_H_
