// The door for operators and probes:
//   /healthz  200 as long as the process can answer at all
//   /readyz   200, or 503 with the reason why no traffic should come
//   /metrics  Prometheus' text format 0.0.4
//   /         the operator's page and its files, from src/http/page
//   /waggle.v1.SERVICE/METHOD  what the page asks: the methods of OperatorApi
//             by POST, in proto3's JSON (ops/json_api.h)
//   /v1/events  the events as they come, to GET (http/event_door.h)
// Errors are application/problem+json (RFC 9457).
//
// The probes and the page, which hold nothing secret, are for everybody. For
// all else, also for what does not exist, a hook says who calls, unless the
// door is open: the metrics take the capability admin, and each method judges
// its caller by itself.
//
// Where no credentials are asked for, whatever a browser on this machine shows
// could reach the door, too. So the methods are then answered only under an
// IP address or "localhost", which no name that a stranger's page was loaded by
// is (DNS rebinding), and only to this door's own page; so are the events. In
// any case they take a content type that other pages cannot send without asking
// first. On loopback the metrics are answered only so, too; elsewhere
// Prometheus may know an open door by the name of its service.
//
// Methods run on threads of their own, a few at once, so that a slow store does
// not keep the probes waiting.
#ifndef WAGGLE_HTTP_ADMIN_SERVER_H_
#define WAGGLE_HTTP_ADMIN_SERVER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/metrics.h"
#include "base/thread_pool.h"
#include "http/guarded_server.h"
#include "http/http_message.h"
#include "ops/json_api.h"
#include "ops/operator_api.h"
#include "security/access_control.h"

namespace waggle {

// Thread-safe, except that Listen comes first, once.
class AdminServer final : private HttpHandler {
 public:
  struct Hooks {
    // OK, or why the gateway is not ready. Must not block.
    std::function<absl::Status()> readiness;
    // Who calls, by the value of the Authorization field, if there is one: see
    // AccessControl::Authenticate. Several are refused without asking. Must not
    // block.
    std::function<absl::StatusOr<Caller>(
        std::optional<std::string_view> authorization)>
        authenticate;
    // Whether `authenticate` lets in who shows nothing.
    bool open = false;
    // Whether only this machine reaches the door.
    bool loopback = false;
    // Answers a request for the events, and judges its caller by itself. Null:
    // there are none. Must not block.
    std::function<void(const HttpRequest&, HttpResponder)> serve_events =
        nullptr;
    // Brings gauges up to date before they are read.
    std::function<void()> refresh_metrics = [] {};
    // See GuardOptions.
    std::function<void()> on_listener_failed = [] {};
    std::function<std::shared_ptr<SSL_CTX>()> tls_context = nullptr;
  };

  // `metrics` and `api` must outlive the server. Hooks are called on its
  // threads.
  AdminServer(Hooks hooks, const Metrics& metrics, OperatorApi& api);

  // Stops; waits for methods under way.
  ~AdminServer() override;

  absl::Status Listen(const std::string& host, int port) {
    return server_.Listen(host, port);
  }
  int port() const { return server_.port(); }
  void Stop() { server_.Stop(); }

  // Whom something is for.
  enum class Audience {
    // The value of what has no rule.
    kNobody,
    kEverybody,
    // Whoever is recognised, to be judged further.
    kCallers,
    kAdmins,
  };

  // What there is to GET.
  struct Page {
    std::string_view path;
    HttpResponse (AdminServer::*show)(const Page& page) const;
    Audience audience = Audience::kNobody;
    // Of a file of the operator's page.
    std::string_view content_type = {};
    std::string_view content = {};
  };
  static absl::Span<const Page> pages();

  // Methods that may run or wait to run at once; the next is answered 503.
  static constexpr int kMaxCalls = 32;

 private:
  std::optional<HttpResponse> Screen(const HttpRequest& request) override;
  void Handle(HttpRequest request, HttpResponder respond) override;
  void OnRefused(const Refusal&, const HttpRequest&) override {}

  // The caller of something for `audience`, or how to refuse it.
  absl::StatusOr<Caller> Authorize(const HttpRequest& request,
                                   Audience audience) const;
  // Where nobody is asked who they are: refuses what a stranger's page asks.
  std::optional<HttpResponse> ScreenStranger(const HttpRequest& request) const;
  std::optional<HttpResponse> ScreenCall(const HttpRequest& request) const;
  bool IsForEvents(const HttpRequest& request) const;
  void HandleCall(const JsonMethod& method, HttpRequest request,
                  HttpResponder respond);

  HttpResponse ShowHealth(const Page& page) const;
  HttpResponse ShowReadiness(const Page& page) const;
  HttpResponse ShowMetrics(const Page& page) const;
  HttpResponse ShowFile(const Page& page) const;

  const Hooks hooks_;
  const Metrics& metrics_;
  OperatorApi& api_;
  std::atomic<int> calls_ = 0;
  GuardedServer server_;
  // Last, so that what it runs ends before what that uses is gone.
  ThreadPool callers_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_ADMIN_SERVER_H_
