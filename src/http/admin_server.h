// The door for operators and probes, over GET and HEAD, as plain text:
//   /healthz  200 as long as the process can answer at all
//   /readyz   200, or 503 with the reason why no traffic should come
//   /metrics  Prometheus' text format 0.0.4
// /healthz and /readyz are for everybody. For all else, also for what does not
// exist, it asks a hook about the Authorization field, and answers 401 or 403
// as application/problem+json (RFC 9457). Without the hook it is for a private
// network.
#ifndef WAGGLE_HTTP_ADMIN_SERVER_H_
#define WAGGLE_HTTP_ADMIN_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/metrics.h"
#include "http/guarded_server.h"
#include "http/http_message.h"

namespace waggle {

// Thread-safe, except that Listen comes first, once.
class AdminServer final : private HttpHandler {
 public:
  enum class Access { kAllowed, kUnauthenticated, kForbidden };

  struct Hooks {
    // OK, or why the gateway is not ready. Must not block.
    std::function<absl::Status()> readiness;
    // Judges a request by the value of its Authorization field, if there is
    // one. Several are refused without asking. Must not block.
    std::function<Access(std::optional<std::string_view> authorization)>
        authorize = [](auto) { return Access::kAllowed; };
    // Brings gauges up to date before they are read.
    std::function<void()> refresh_metrics = [] {};
    // See GuardOptions.
    std::function<void()> on_listener_failed = [] {};
    std::function<std::shared_ptr<SSL_CTX>()> tls_context = nullptr;
  };

  // `metrics` must outlive the server. Hooks are called on its threads.
  AdminServer(Hooks hooks, const Metrics& metrics);

  absl::Status Listen(const std::string& host, int port) {
    return server_.Listen(host, port);
  }
  int port() const { return server_.port(); }
  void Stop() { server_.Stop(); }

  // What there is, and whether it is for everybody.
  struct Page {
    std::string_view path;
    HttpResponse (AdminServer::*show)() const;
    bool open = false;
  };
  static absl::Span<const Page> pages();

 private:
  std::optional<HttpResponse> Screen(const HttpRequest& request) override;
  void Handle(HttpRequest request, HttpResponder respond) override;
  void OnRefused(const Refusal&, const HttpRequest&) override {}

  std::optional<HttpResponse> RefuseStranger(const HttpRequest& request) const;
  HttpResponse Health() const;
  HttpResponse Ready() const;
  HttpResponse ScrapeMetrics() const;

  const Hooks hooks_;
  const Metrics& metrics_;
  GuardedServer server_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_ADMIN_SERVER_H_
