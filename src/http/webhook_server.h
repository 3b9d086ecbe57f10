// The door for Bindbee: POST /webhooks/{endpoint}.
//
// Answers, all from 400 up as application/problem+json (RFC 9457):
//   200  {"id":"...","sequence":7,"duplicate":false}: the event is durable;
//        "duplicate":true: it was before, and these are the first one's
//   401  not exactly one signature, or a malformed or wrong one; the answers do
//        not differ
//   429  with Retry-After, instead of 401: too many requests from this address
//        were not authentic of late. Authentic ones are never refused for it
//   404  unknown endpoint or path    405  not POST
//   503  with Retry-After: draining, or the store cannot take it now
// and those of GuardedServer. Once an address has used up its failures,
// requests whose header alone shows that they cannot be authentic are answered
// before their body is read. Bindbee repeats after every status but 2xx.
//
// Each request leaves a record in the delivery log: with its event, through the
// receiver, or else through the DeliveryRecorder.
//
// Writes one line a webhook to the log, and counts:
//   waggle_webhook_requests_total{endpoint,result}; a TLS handshake that failed
//     is a request without an endpoint
//   waggle_webhook_body_bytes_total   of complete requests
//   waggle_webhook_accept_seconds     from the complete request to the answer
//   waggle_webhook_connections
#ifndef WAGGLE_HTTP_WEBHOOK_SERVER_H_
#define WAGGLE_HTTP_WEBHOOK_SERVER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ip_network.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "http/guarded_server.h"
#include "http/http_message.h"
#include "ingest/delivery_recorder.h"
#include "ingest/receiver.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

struct WebhookOptions {
  GuardOptions guard;
  // Those of the receiver.
  std::vector<std::string> endpoints;
  // For requests that are not authentic, from one address (AddressKey), more
  // than 0; after a quiet time so many may come at once.
  double max_failures_per_minute = 600;
  // Whose X-Forwarded-For is believed (ClientAddress). Limits of connections
  // are by the connection's peer all the same.
  std::vector<IpNetwork> trusted_proxies;
};

// Threads: as GuardedServer says.
class WebhookServer final : private HttpHandler {
 public:
  // `receiver`, `recorder` and `metrics` must outlive the server. The store may
  // answer after Stop(), even after destruction.
  WebhookServer(WebhookOptions options, Receiver& receiver,
                DeliveryRecorder& recorder, Metrics& metrics);
  ~WebhookServer() override;

  absl::Status Listen(const std::string& host, int port) {
    return server_.Listen(host, port);
  }
  int port() const { return server_.port(); }
  void BeginDrain() { server_.BeginDrain(); }
  bool WaitUntilIdle(absl::Duration timeout) {
    return server_.WaitUntilIdle(timeout);
  }
  void Stop() { server_.Stop(); }

  // Brings up to date what is not counted as it happens: the connections.
  void RefreshMetrics();

 private:
  // An endpoint, or all that are unknown, with its counters by outcome.
  struct Door {
    std::string endpoint;
    std::array<prometheus::Counter*, v1::DeliveryOutcome_ARRAYSIZE> counters{};
  };
  using TimePoint = std::chrono::steady_clock::time_point;

  std::optional<HttpResponse> Screen(const HttpRequest& request) override;
  void Handle(HttpRequest request, HttpResponder respond) override;
  void OnRefused(const Refusal& refusal, const HttpRequest& request) override;

  // The door that the path names, or null.
  const Door* Find(std::string_view path) const;
  // The client's address: through trusted proxies, if the head is there.
  std::string ClientOf(const HttpRequest& request) const;
  // What a request tells of its delivery. `door` is its endpoint's, or null.
  v1::Delivery Describe(const HttpRequest& request, const Door* door) const;
  HttpResponse Answer(const Door& door, TimePoint completed_at,
                      const absl::StatusOr<Appended>& appended,
                      const v1::Delivery& delivery);
  HttpResponse AnswerStored(const Door& door, TimePoint completed_at,
                            const Appended& appended,
                            const v1::Delivery& delivery);
  HttpResponse AnswerError(const Door& door, const absl::Status& status,
                           v1::Delivery delivery);
  HttpResponse Throttled() const;
  // Of a request that was refused before the receiver had it.
  void NoteUnreceived(const HttpRequest& request, const Door* door,
                      v1::DeliveryOutcome outcome, int status);
  // Counts and records a refused request, and logs it unless strangers have
  // filled the log enough for this second.
  void NoteRefusal(const Door& door, v1::Delivery delivery,
                   v1::DeliveryOutcome outcome, int status);
  bool MayLogRefusal() ABSL_LOCKS_EXCLUDED(mu_);
  std::unique_ptr<Door> MakeDoor(const std::string& endpoint);

  const absl::Duration retry_after_;
  // Tokens are failed verifications.
  RateLimiter failures_;
  // Until the next failure is answered 401 again.
  const absl::Duration failure_pause_;
  const std::vector<IpNetwork> trusted_proxies_;
  Receiver& receiver_;
  DeliveryRecorder& recorder_;
  Metrics& metrics_;
  prometheus::Counter& body_bytes_;
  prometheus::Histogram& accept_seconds_;
  prometheus::Gauge& connections_;
  std::vector<std::unique_ptr<Door>> doors_;
  const std::unique_ptr<Door> unknown_;

  Mutex mu_;
  // The second of steady time in which refusals are counted, how many were
  // logged in it, and how many were not since the last line that said so.
  int64_t second_ ABSL_GUARDED_BY(mu_) = 0;
  int logged_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t not_logged_ ABSL_GUARDED_BY(mu_) = 0;

  // Last, so that its threads end before what they use.
  GuardedServer server_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_WEBHOOK_SERVER_H_
