#include "http/admin_server.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

// A few probes and scrapers.
GuardOptions Options(const AdminServer::Hooks& hooks) {
  GuardOptions options;
  options.max_body_bytes = 1024;
  options.max_connections = 256;
  // So that no client keeps the probes out.
  options.max_connections_per_address = 64;
  options.max_buffered_bytes = 8 << 20;
  options.workers = 2;
  options.on_listener_failed = hooks.on_listener_failed;
  options.tls_context = hooks.tls_context;
  return options;
}

HttpResponse Text(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

const AdminServer::Page* Find(std::string_view path) {
  for (const AdminServer::Page& page : AdminServer::pages()) {
    if (page.path == path) return &page;
  }
  return nullptr;
}

}  // namespace

AdminServer::AdminServer(Hooks hooks, const Metrics& metrics)
    : hooks_(std::move(hooks)),
      metrics_(metrics),
      server_(Options(hooks_), *this) {}

absl::Span<const AdminServer::Page> AdminServer::pages() {
  static constexpr Page kPages[] = {
      {.path = "/healthz", .show = &AdminServer::Health, .open = true},
      {.path = "/readyz", .show = &AdminServer::Ready, .open = true},
      {.path = "/metrics", .show = &AdminServer::ScrapeMetrics},
  };
  return kPages;
}

std::optional<HttpResponse> AdminServer::Screen(const HttpRequest& request) {
  const Page* page = Find(request.path());
  if (page == nullptr || !page->open) {
    if (std::optional<HttpResponse> refusal = RefuseStranger(request)) {
      return refusal;
    }
  }
  if (page == nullptr) {
    return ProblemResponse(404, "There are /healthz, /readyz and /metrics.");
  }
  if (request.method() != "GET" && request.method() != "HEAD") {
    HttpResponse response = ProblemResponse(405, "Use GET or HEAD.");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  return std::nullopt;
}

std::optional<HttpResponse> AdminServer::RefuseStranger(
    const HttpRequest& request) const {
  const auto fields = request.HeaderValues("Authorization");
  std::optional<std::string_view> authorization;
  if (!fields.empty()) authorization = fields[0];
  const Access access = fields.size() > 1 ? Access::kUnauthenticated
                                          : hooks_.authorize(authorization);
  switch (access) {
    case Access::kAllowed:
      return std::nullopt;
    case Access::kForbidden:
      return ProblemResponse(403, "These credentials do not permit this.");
    case Access::kUnauthenticated:
      break;
  }
  HttpResponse response = ProblemResponse(
      401, "Send valid credentials in one Authorization field.");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

void AdminServer::Handle(HttpRequest request, HttpResponder respond) {
  respond(
      [this, page = Find(request.path())] { return (this->*page->show)(); });
}

HttpResponse AdminServer::Health() const { return Text(200, "ok\n"); }

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
