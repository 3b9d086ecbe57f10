#include "http/admin_server.h"

#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/gate.h"
#include "base/ip_network.h"
#include "base/strings.h"

namespace waggle {
namespace {

// Made by CMake from page/: k_<name> for each file.
#include "page_files.inc"

constexpr size_t kCallers = 4;

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kCss = "text/css; charset=utf-8";
constexpr std::string_view kJavaScript = "text/javascript; charset=utf-8";

// Nothing but this door's own files and answers, and no text taken for HTML.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'";

// Probes, scrapers and pages, and beside them the streams of events, which have
// limits of their own (EventDoor::Limits).
GuardOptions Options(const AdminServer::Hooks& hooks) {
  GuardOptions options;
  options.max_body_bytes = 64 << 10;
  options.max_connections = 512;
  // So that no client keeps the probes out.
  options.max_connections_per_address = 128;
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

HttpResponse RefuseMethod(std::string_view allowed) {
  HttpResponse response =
      ProblemResponse(405, absl::StrCat("Use ", AsAbsl(allowed), "."));
  response.headers.emplace_back("Allow", std::string(allowed));
  return response;
}

HttpResponse RetryLater(std::string_view detail) {
  HttpResponse response = ProblemResponse(503, detail);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse RefuseStranger(const absl::Status& status) {
  if (absl::IsPermissionDenied(status)) {
    return ProblemResponse(403, "These credentials do not permit this.");
  }
  HttpResponse response = ProblemResponse(
      401, "Send valid credentials in one Authorization field.");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

HttpResponse RefuseName() {
  return ProblemResponse(
      421,
      "Without credentials, call this door by an IP address or as localhost; "
      "by name only where an access file says who may.");
}

HttpResponse Problem(const absl::Status& status) {
  const absl::string_view message = status.message();
  const std::string_view detail(message.data(), message.size());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ProblemResponse(400, detail);
    case absl::StatusCode::kPermissionDenied:
      return ProblemResponse(403, detail);
    case absl::StatusCode::kNotFound:
      return ProblemResponse(404, detail);
    case absl::StatusCode::kResourceExhausted:
      return ProblemResponse(429, detail);
    case absl::StatusCode::kUnavailable:
      return RetryLater(detail);
    default:
      return ProblemResponse(500, detail);
  }
}

HttpResponse Harden(HttpResponse response, std::string_view cache_control) {
  response.headers.emplace_back("Cache-Control", std::string(cache_control));
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  return response;
}

// The field's value if there is exactly one, else "".
std::string_view Only(const HttpRequest& request, std::string_view name) {
  const auto values = request.HeaderValues(name);
  return values.size() == 1 ? values[0] : std::string_view();
}

// The value of a Host field.
bool IsAddressOrLocalhost(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end != std::string_view::npos &&
           IpAddress::FromText(host.substr(1, end - 1)).has_value();
  }
  host = host.substr(0, host.find(':'));
  return absl::EqualsIgnoreCase(AsAbsl(host), "localhost") ||
         IpAddress::FromText(host).has_value();
}

// A browser names the page that asks, or where that is from what was asked for
// if the page cannot read the answer; other clients name nothing.
bool IsForeignPage(const HttpRequest& request, std::string_view host) {
  for (const std::string_view site : request.HeaderValues("Sec-Fetch-Site")) {
    if (site != "same-origin" && site != "none") return true;
  }
  const auto origins = request.HeaderValues("Origin");
  if (origins.empty()) return false;
  if (origins.size() > 1) return true;
  std::string_view origin = origins[0];
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    origin.remove_prefix(scheme.size());
    return !absl::EqualsIgnoreCase(AsAbsl(origin), AsAbsl(host));
  }
  return true;
}

bool IsJson(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return absl::EqualsIgnoreCase(
      AsAbsl(type.substr(0, type.find_last_not_of(" \t") + 1)),
      "application/json");
}

const AdminServer::Page* FindPage(std::string_view path) {
  for (const AdminServer::Page& page : AdminServer::pages()) {
    if (page.path == path) return &page;
  }
  return nullptr;
}

}  // namespace

AdminServer::AdminServer(Hooks hooks, const Metrics& metrics, OperatorApi& api)
    : hooks_(std::move(hooks)),
      metrics_(metrics),
      api_(api),
      server_(Options(hooks_), *this),
      callers_(kCallers) {}

// No worker of the server's may be handing a call over when `callers_` goes.
AdminServer::~AdminServer() { Stop(); }

absl::Span<const AdminServer::Page> AdminServer::pages() {
  static constexpr auto kFile = &AdminServer::ShowFile;
  static constexpr auto kEverybody = Audience::kEverybody;
  static constexpr Page kPages[] = {
      {"/healthz", &AdminServer::ShowHealth, kEverybody},
      {"/readyz", &AdminServer::ShowReadiness, kEverybody},
      {"/metrics", &AdminServer::ShowMetrics, Audience::kAdmins},
      {"/", kFile, kEverybody, kHtml, k_index},
      {"/page/icon.svg", kFile, kEverybody, "image/svg+xml", k_icon},
      {"/page/style.css", kFile, kEverybody, kCss, k_style},
      {"/page/main.js", kFile, kEverybody, kJavaScript, k_main},
      {"/page/api.js", kFile, kEverybody, kJavaScript, k_api},
      {"/page/dom.js", kFile, kEverybody, kJavaScript, k_dom},
      {"/page/format.js", kFile, kEverybody, kJavaScript, k_format},
      {"/page/deliveries.js", kFile, kEverybody, kJavaScript, k_deliveries},
      {"/page/detail.js", kFile, kEverybody, kJavaScript, k_detail},
      {"/page/gateway.js", kFile, kEverybody, kJavaScript, k_gateway},
      {"/page/plot.js", kFile, kEverybody, kJavaScript, k_plot},
      {"/page/subscribers.js", kFile, kEverybody, kJavaScript, k_subscribers},
      {"/page/check.js", kFile, kEverybody, kJavaScript, k_check},
  };
  return kPages;
}

std::optional<HttpResponse> AdminServer::Screen(const HttpRequest& request) {
  if (FindJsonMethod(request.path()) != nullptr) return ScreenCall(request);
  if (IsForEvents(request)) {
    if (auto refused = ScreenStranger(request)) return refused;
    if (request.method() != "GET") return RefuseMethod("GET");
    return std::nullopt;
  }
  const Page* page = FindPage(request.path());
  if (hooks_.open && hooks_.loopback && page != nullptr &&
      page->audience != Audience::kEverybody &&
      !IsAddressOrLocalhost(Only(request, "Host"))) {
    return RefuseName();
  }
  const auto caller =
      Authorize(request, page == nullptr ? Audience::kAdmins : page->audience);
  if (!caller.ok()) return RefuseStranger(caller.status());
  if (page == nullptr) {
    return ProblemResponse(
        404,
        "There are /, /healthz, /readyz, /metrics, /v1/events and the API's "
        "methods.");
  }
  if (request.method() != "GET" && request.method() != "HEAD") {
    return RefuseMethod("GET, HEAD");
  }
  return std::nullopt;
}

bool AdminServer::IsForEvents(const HttpRequest& request) const {
  return hooks_.serve_events && request.path() == kEventsPath;
}

std::optional<HttpResponse> AdminServer::ScreenStranger(
    const HttpRequest& request) const {
  if (!hooks_.open) return std::nullopt;
  const std::string_view host = Only(request, "Host");
  if (!IsAddressOrLocalhost(host)) return RefuseName();
  if (IsForeignPage(request, host)) {
    return ProblemResponse(403, "This is not for pages of other origins.");
  }
  return std::nullopt;
}

std::optional<HttpResponse> AdminServer::ScreenCall(
    const HttpRequest& request) const {
  if (auto refused = ScreenStranger(request)) return refused;
  const auto caller = Authorize(request, Audience::kCallers);
  if (!caller.ok()) return RefuseStranger(caller.status());
  if (request.method() != "POST") return RefuseMethod("POST");
  if (!IsJson(Only(request, "Content-Type"))) {
    return ProblemResponse(
        415, "Send the request as Content-Type: application/json.");
  }
  return std::nullopt;
}

absl::StatusOr<Caller> AdminServer::Authorize(const HttpRequest& request,
                                              Audience audience) const {
  const bool for_whoever_comes = audience == Audience::kEverybody ||
                                 (hooks_.open && audience == Audience::kAdmins);
  if (for_whoever_comes) return Caller();
  const auto fields = request.HeaderValues("Authorization");
  if (fields.size() > 1) return absl::UnauthenticatedError("several");
  std::optional<std::string_view> authorization;
  if (!fields.empty()) authorization = fields[0];
  absl::StatusOr<Caller> caller = hooks_.authenticate(authorization);
  if (!caller.ok() || audience == Audience::kCallers) return caller;
  if (audience == Audience::kAdmins &&
      caller->principal->rights.Has(Capability::kAdmin)) {
    return caller;
  }
  return absl::PermissionDeniedError("not for this caller");
}

void AdminServer::Handle(HttpRequest request, HttpResponder respond) {
  if (const JsonMethod* method = FindJsonMethod(request.path())) {
    return HandleCall(*method, std::move(request), std::move(respond));
  }
  if (IsForEvents(request)) {
    return hooks_.serve_events(request, std::move(respond));
  }
  respond([this, page = FindPage(request.path())] {
    return (this->*page->show)(*page);
  });
}

void AdminServer::HandleCall(const JsonMethod& method, HttpRequest request,
                             HttpResponder respond) {
  // Again, since the rights may have changed while the body was read.
  absl::StatusOr<Caller> caller = Authorize(request, Audience::kCallers);
  if (!caller.ok()) {
    return respond(
        [status = caller.status()] { return RefuseStranger(status); });
  }
  if (calls_.fetch_add(1) >= kMaxCalls) {
    --calls_;
    return respond(
        [] { return RetryLater("Too many calls at once; try again later."); });
  }
  callers_.Submit([this, &method, request = std::move(request),
                   caller = *std::move(caller),
                   respond = std::move(respond)]() mutable {
    auto json = method.call(api_, request.body, caller);
    --calls_;
    respond([json = std::move(json)]() mutable {
      if (!json.ok()) return Harden(Problem(json.status()), "no-store");
      HttpResponse response;
      response.content_type = "application/json";
      response.body = *std::move(json);
      return Harden(std::move(response), "no-store");
    });
  });
}

HttpResponse AdminServer::ShowHealth(const Page&) const {
  return Text(200, "ok\n");
}

HttpResponse AdminServer::ShowReadiness(const Page&) const {
  const absl::Status status = hooks_.readiness();
  if (status.ok()) return Text(200, "ready\n");
  return Text(503, absl::StrCat("not ready: ", status.message(), "\n"));
}

HttpResponse AdminServer::ShowMetrics(const Page&) const {
  hooks_.refresh_metrics();
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.Serialize();
  return response;
}

HttpResponse AdminServer::ShowFile(const Page& page) const {
  HttpResponse response;
  response.content_type = std::string(page.content_type);
  response.body = std::string(page.content);
  response.headers.emplace_back("Content-Security-Policy",
                                std::string(kContentSecurityPolicy));
  return Harden(std::move(response), "no-cache");
}

}  // namespace waggle
