#include "http/admin_server.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

constexpr std::string_view kHealth = "/healthz";
constexpr std::string_view kReadiness = "/readyz";
constexpr std::string_view kMetrics = "/metrics";

// A few probes and scrapers.
GuardOptions Options(std::function<void()> on_listener_failed) {
  GuardOptions options;
  options.max_body_bytes = 1024;
  options.max_connections = 256;
  options.max_buffered_bytes = 8 << 20;
  options.workers = 2;
  options.on_listener_failed = std::move(on_listener_failed);
  return options;
}

HttpResponse Text(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

}  // namespace

AdminServer::AdminServer(Hooks hooks, const Metrics& metrics)
    : hooks_(std::move(hooks)),
      metrics_(metrics),
      server_(Options(hooks_.on_listener_failed), *this) {}

std::optional<HttpResponse> AdminServer::Screen(const HttpRequest& request) {
  const std::string_view path = request.path();
  if (path != kHealth && path != kReadiness && path != kMetrics) {
    return ProblemResponse(404, "There are /healthz, /readyz and /metrics.");
  }
  if (request.method() != "GET" && request.method() != "HEAD") {
    HttpResponse response = ProblemResponse(405, "Use GET or HEAD.");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  return std::nullopt;
}

void AdminServer::Handle(HttpRequest request, HttpResponder respond) {
  if (request.path() == kHealth) {
    respond([] { return Text(200, "ok\n"); });
  } else if (request.path() == kReadiness) {
    respond([this] { return Ready(); });
  } else {
    respond([this] { return ScrapeMetrics(); });
  }
}

HttpResponse AdminServer::Ready() const {
  const absl::Status status = hooks_.readiness();
  if (status.ok()) return Text(200, "ready\n");
  return Text(503, absl::StrCat("not ready: ", status.message(), "\n"));
}

HttpResponse AdminServer::ScrapeMetrics() const {
  hooks_.refresh_metrics();
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.Serialize();
  return response;
}

}  // namespace waggle
