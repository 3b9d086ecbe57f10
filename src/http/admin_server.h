// The door for operators and probes, over GET and HEAD, as plain text:
//   /healthz  200 as long as the process can answer at all
//   /readyz   200, or 503 with the reason why no traffic should come
//   /metrics  Prometheus' text format 0.0.4
// For a private network: it asks nobody who they are.
#ifndef WAGGLE_HTTP_ADMIN_SERVER_H_
#define WAGGLE_HTTP_ADMIN_SERVER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/metrics.h"
#include "http/guarded_server.h"
#include "http/http_message.h"

namespace waggle {

// Thread-safe, except that Listen comes first, once.
class AdminServer final : private HttpHandler {
 public:
  struct Hooks {
    // OK, or why the gateway is not ready. Must not block.
    std::function<absl::Status()> readiness;
    // Brings gauges up to date before they are read.
    std::function<void()> refresh_metrics = [] {};
    // See GuardOptions.
    std::function<void()> on_listener_failed = [] {};
  };

  // `metrics` must outlive the server. Hooks are called on its threads.
  AdminServer(Hooks hooks, const Metrics& metrics);

  absl::Status Listen(const std::string& host, int port) {
    return server_.Listen(host, port);
  }
  int port() const { return server_.port(); }
  void Stop() { server_.Stop(); }

 private:
  std::optional<HttpResponse> Screen(const HttpRequest& request) override;
  void Handle(HttpRequest request, HttpResponder respond) override;
  void OnRefused(const Refusal&, const HttpRequest&) override {}

  HttpResponse Ready() const;
  HttpResponse ScrapeMetrics() const;

  const Hooks hooks_;
  const Metrics& metrics_;
  GuardedServer server_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_ADMIN_SERVER_H_
