// One connection of a GuardedServer, and the rule by which the reactor and the
// workers share it without a lock: at each moment one of them owns it.
//
// The reactor owns it from the accept, and while it reads or closes. Handing a
// complete request over makes it the workers' (of the one that calls the
// handler, then of nobody until the answer comes, then of the one that sends
// it). So does handing it over for a step of its TLS handshake, which takes too
// much computing for the reactor. GiveBack() then makes it the reactor's again
// in one atomic step, without a system call and without waking anybody. No
// event can be lost in between: sockets are watched edge-triggered, so each
// event is told to the reactor once, and if the connection is not its own then,
// it leaves a mark (TakeForEvent), which makes GiveBack() fail; the worker then
// hands the connection over through the reactor's queue, and the reactor looks
// at the socket itself. What TLS has taken from the socket and not given out is
// announced by no event either: `unread` stands for it too, and a worker gives
// back only connections without it.
#ifndef WAGGLE_HTTP_CONNECTION_H_
#define WAGGLE_HTTP_CONNECTION_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "http/http_stream.h"
#include "http/request_parser.h"
#include "http/transport.h"
#include "net/connection_limits.h"

namespace waggle {

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Phase {
    kHandshaking,  // TLS is not established
    kIdle,         // between requests
    kReading,      // a request has begun
    kServing,      // it is complete and not answered
    kWriting,      // the client does not take the answer fast enough
    kStreaming,    // the answer comes in parts
    kLingering,    // answered for the last time; drops what still comes
    kBroken,       // to be closed
  };

  Connection(int fd, std::shared_ptr<SSL_CTX> tls, std::string remote_address,
             ConnectionLimits::Verdict verdict, size_t max_body)
      : remote_address(std::move(remote_address)),
        verdict(verdict),
        transport(fd, std::move(tls)),
        parser(max_body) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // By the reactor: true if it owns the connection.
  bool IsReactors() const { return owner_.load() == Owner::kReactor; }
  // By the reactor, for an event: true if it owns the connection, else the
  // workers are told of it.
  bool TakeForEvent() {
    Owner expected = Owner::kWorkers;
    return !owner_.compare_exchange_strong(expected,
                                           Owner::kWorkersAfterEvent) &&
           expected == Owner::kReactor;
  }
  // By the reactor, which does not touch it afterwards.
  void GiveToWorkers() { owner_.store(Owner::kWorkers); }
  // By a worker, which does not touch it afterwards if this is true. False if
  // an event came: it is still the workers'.
  bool GiveBack() {
    Owner expected = Owner::kWorkers;
    return owner_.compare_exchange_strong(expected, Owner::kReactor);
  }
  // By the reactor, of one that a worker queued for it: true if an event came.
  bool TakeBack() {
    return owner_.exchange(Owner::kReactor) == Owner::kWorkersAfterEvent;
  }

  const std::string remote_address;
  // Other than kAdmitted: it gets this as its answer, and no request is read.
  const ConnectionLimits::Verdict verdict;
  // The reactor's alone: its place in the table.
  size_t index = 0;
  const Clock::time_point accepted_at = Clock::now();

  // All that follows is the owner's.
  Transport transport;
  Phase phase = Phase::kIdle;
  // When the phase has lasted too long.
  Clock::time_point deadline;
  RequestParser parser;
  // When the request was complete.
  Clock::time_point completed_at;
  // What came after the request.
  std::string leftover;
  // The answer, and how much of it is sent.
  std::string output;
  size_t sent = 0;
  // While streaming: null otherwise.
  std::shared_ptr<HttpStream> stream;
  // The output is a part of it, and not just the head or the end.
  bool sends_part = false;
  // The parts go in chunks; the end was told.
  bool chunked = false;
  bool end_told = false;
  // The answer goes to HEAD; is the last one.
  bool head_only = false;
  bool close = false;
  // A request of it was complete and well-formed.
  bool of_use = false;
  // The request came after draining began.
  bool refused_by_drain = false;
  // The request counts among those that draining waits for.
  bool counted = false;
  // The socket, or TLS, may hold something that no event will announce any
  // more.
  bool unread = false;
  // That may be the end, so a short read does not mean that there is no more.
  bool may_have_ended = false;
  // Memory charged to the server's budget, in bytes.
  size_t charged = 0;
  // Whether it waits in the reactor's queue of streams with something to do;
  // the queue's lock guards it.
  bool stirred = false;
  // Dropped while streaming or lingering, in bytes.
  size_t dropped = 0;

 private:
  enum class Owner { kReactor, kWorkers, kWorkersAfterEvent };
  std::atomic<Owner> owner_{Owner::kReactor};
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_CONNECTION_H_
