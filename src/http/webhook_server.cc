#include "http/webhook_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace waggle {
namespace {

constexpr std::string_view kSignatureField = "X-Bindbee-Webhook-Signature";
constexpr std::string_view kPathPrefix = "/webhooks/";
// Of an HMAC-SHA256 in base64.
constexpr size_t kSignatureLength = 44;
constexpr int kRefusalsLoggedPerSecond = 20;
// What a stranger, or the sender, may put into a log line, in bytes.
constexpr size_t kMaxLoggedPath = 64;
constexpr size_t kMaxLoggedTypeName = 128;

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

WebhookServer::WebhookServer(GuardOptions options,
                             const std::vector<std::string>& endpoints,
                             Receiver& receiver, Metrics& metrics,
                             double max_failures_per_minute)
    : retry_after_(options.retry_after),
      failures_({.per_second = max_failures_per_minute / 60,
                 .burst = std::max(1.0, max_failures_per_minute)}),
      failure_pause_(absl::Ceil(absl::Minutes(1) / max_failures_per_minute,
                                absl::Seconds(1))),
      receiver_(receiver),
      metrics_(metrics),
      body_bytes_(metrics.Counter("waggle_webhook_body_bytes_total",
                                  "Bytes of the bodies of complete webhooks.")),
      accept_seconds_(metrics.Histogram(
          "waggle_webhook_accept_seconds",
          "Time from a webhook's last byte to its answer, if it was stored.",
          Metrics::LatencyBuckets())),
      connections_(metrics.Gauge("waggle_webhook_connections",
                                 "Open connections of the webhook listener.")),
      unknown_(MakeDoor("")),
      server_(std::move(options), *this) {
  for (const std::string& endpoint : endpoints) {
    doors_.push_back(MakeDoor(endpoint));
  }
}

WebhookServer::~WebhookServer() = default;

void WebhookServer::RefreshMetrics() {
  connections_.Set(static_cast<double>(server_.connections()));
}

std::string_view WebhookServer::Name(Result result) {
  static constexpr std::string_view kNames[kResults] = {
      "accepted",         "duplicate",          "unauthenticated",
      "not_found",        "method_not_allowed", "too_large",
      "header_too_large", "malformed",          "timeout",
      "overloaded",       "unavailable",        "draining",
      "throttled",        "handshake_failed"};
  return kNames[static_cast<size_t>(result)];
}

WebhookServer::Result WebhookServer::ResultOf(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kMalformed:
    case RefusalReason::kEncodedContent:
    case RefusalReason::kUnknownExpectation:
    case RefusalReason::kUnsupportedVersion:
      return Result::kMalformed;
    case RefusalReason::kTimeout:
      return Result::kTimeout;
    case RefusalReason::kBodyTooLarge:
      return Result::kTooLarge;
    case RefusalReason::kTargetTooLong:
    case RefusalReason::kHeaderTooLarge:
      return Result::kHeaderTooLarge;
    case RefusalReason::kTooManyConnections:
    case RefusalReason::kTooManyFromAddress:
    case RefusalReason::kTooMuchBuffered:
    case RefusalReason::kTooManyRequests:
      return Result::kOverloaded;
    case RefusalReason::kDraining:
      return Result::kDraining;
    case RefusalReason::kHandshakeFailed:
      return Result::kHandshakeFailed;
  }
  return Result::kMalformed;
}

std::unique_ptr<WebhookServer::Door> WebhookServer::MakeDoor(
    const std::string& endpoint) {
  auto door = std::make_unique<Door>();
  door->endpoint = endpoint;
  for (size_t i = 0; i < kResults; ++i) {
    door->counters[i] = &metrics_.Counter(
        "waggle_webhook_requests_total",
        "Webhooks by what became of them; without an endpoint if it is not "
        "known.",
        {{"endpoint", endpoint},
         {"result", std::string(Name(static_cast<Result>(i)))}});
  }
  return door;
}

const WebhookServer::Door* WebhookServer::Find(std::string_view path) const {
  if (!path.starts_with(kPathPrefix)) return nullptr;
  path.remove_prefix(kPathPrefix.size());
  for (const auto& door : doors_) {
    if (door->endpoint == path) return door.get();
  }
  return nullptr;
}

std::optional<HttpResponse> WebhookServer::Screen(const HttpRequest& request) {
  const Door* door = Find(request.path());
  if (door == nullptr) {
    NoteRefusal(*unknown_, request.path(), request.remote_address, 0, 404,
                Result::kNotFound);
    return ProblemResponse(
        404, "No such endpoint; post to /webhooks/ and a configured name.");
  }
  if (request.method() != "POST") {
    NoteRefusal(*door, request.path(), request.remote_address, 0, 405,
                Result::kMethodNotAllowed);
    HttpResponse response = ProblemResponse(405, "Use POST.");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  const auto signatures = request.HeaderValues(kSignatureField);
  const bool may_be_authentic =
      signatures.size() == 1 && signatures[0].size() == kSignatureLength;
  if (!may_be_authentic &&
      failures_.Exhausted(AddressKey(request.remote_address))) {
    NoteRefusal(*door, request.path(), request.remote_address, 0, 429,
                Result::kThrottled);
    return Throttled();
  }
  return std::nullopt;
}

void WebhookServer::Handle(HttpRequest request, HttpResponder respond) {
  const size_t size = request.body.size();
  body_bytes_.Increment(static_cast<double>(size));
  Delivery delivery{Find(request.path()), request.remote_address, size,
                    request.completed_at};
  const auto signatures = request.HeaderValues(kSignatureField);
  receiver_.Receive(delivery.door->endpoint, signatures,
                    std::move(request.body),
                    [this, delivery, respond = std::move(respond)](
                        absl::StatusOr<Received> received) mutable {
                      respond([this, delivery = std::move(delivery),
                               received = std::move(received)] {
                        return Answer(delivery, received);
                      });
                    });
}

void WebhookServer::OnRefused(const Refusal& refusal,
                              const HttpRequest& request) {
  const Door* door = Find(request.path());
  NoteRefusal(door != nullptr ? *door : *unknown_, request.path(),
              request.remote_address, request.body.size(),
              StatusOf(refusal.reason), ResultOf(refusal.reason));
}

HttpResponse WebhookServer::Answer(const Delivery& delivery,
                                   const absl::StatusOr<Received>& received) {
  return received.ok() ? AnswerStored(delivery, *received)
                       : AnswerError(delivery, received.status());
}

HttpResponse WebhookServer::AnswerStored(const Delivery& delivery,
                                         const Received& received) {
  const Appended& appended = received.appended;
  const Result result =
      appended.duplicate ? Result::kDuplicate : Result::kAccepted;
  const double milliseconds = MillisecondsSince(delivery.completed_at);
  delivery.door->counters[static_cast<size_t>(result)]->Increment();
  accept_seconds_.Observe(milliseconds / 1000);
  Log(LogLevel::kInfo, "webhook",
      {{"endpoint", delivery.door->endpoint},
       {"remote", delivery.remote_address},
       {"size", delivery.size},
       {"status", 200},
       {"result", Name(result)},
       {"type",
        std::string_view(received.type_name).substr(0, kMaxLoggedTypeName)},
       {"id", appended.id},
       {"sequence", appended.sequence.value()},
       {"duplicate", appended.duplicate},
       {"duration_ms", milliseconds}});
  HttpResponse response;
  response.content_type = "application/json";
  response.body = absl::StrCat(R"({"id":")", appended.id, R"(","sequence":)",
                               appended.sequence.value(), R"(,"duplicate":)",
                               appended.duplicate ? "true" : "false", "}\n");
  return response;
}

HttpResponse WebhookServer::AnswerError(const Delivery& delivery,
                                        const absl::Status& status) {
  const auto note = [&](int code, Result result) {
    NoteRefusal(*delivery.door, "", delivery.remote_address, delivery.size,
                code, result);
  };
  if (absl::IsUnauthenticated(status)) {
    if (!failures_.Take(AddressKey(delivery.remote_address))) {
      note(429, Result::kThrottled);
      return Throttled();
    }
    note(401, Result::kUnauthenticated);
    HttpResponse response = ProblemResponse(
        401,
        "Sign the exact body with a key of this endpoint, and send the "
        "signature in one X-Bindbee-Webhook-Signature field.");
    response.headers.emplace_back("WWW-Authenticate",
                                  "Bindbee-Webhook-Signature");
    return response;
  }
  // Whatever else went wrong is on this side, and a repetition may succeed.
  note(503, Result::kUnavailable);
  HttpResponse response =
      ProblemResponse(503, "The event cannot be stored now; try again later.");
  response.headers.emplace_back(
      "Retry-After", absl::StrCat(absl::ToInt64Seconds(retry_after_)));
  return response;
}

HttpResponse WebhookServer::Throttled() const {
  HttpResponse response = ProblemResponse(
      429,
      "Too many requests from this address were not authentic; try again "
      "later.");
  response.headers.emplace_back(
      "Retry-After", absl::StrCat(absl::ToInt64Seconds(failure_pause_)));
  return response;
}

void WebhookServer::NoteRefusal(const Door& door, std::string_view path,
                                std::string_view remote_address, size_t size,
                                int status, Result result) {
  door.counters[static_cast<size_t>(result)]->Increment();
  if (!MayLogRefusal()) return;
  const bool known = &door != unknown_.get();
  Log(LogLevel::kInfo, "webhook",
      {{known ? "endpoint" : "path",
        known ? door.endpoint : path.substr(0, kMaxLoggedPath)},
       {"remote", remote_address},
       {"size", size},
       {"status", status},
       {"result", Name(result)}});
}

bool WebhookServer::MayLogRefusal() {
  const int64_t second =
      std::chrono::duration_cast<std::chrono::seconds>(
          std::chrono::steady_clock::now().time_since_epoch())
          .count();
  int64_t not_logged = 0;
  bool may_log = true;
  {
    MutexLock lock(mu_);
    if (second != second_) {
      second_ = second;
      logged_ = 0;
      not_logged = std::exchange(not_logged_, 0);
    }
    may_log = logged_ < kRefusalsLoggedPerSecond;
    if (may_log) {
      ++logged_;
    } else {
      ++not_logged_;
    }
  }
  if (not_logged > 0) {
    Log(LogLevel::kWarn, "webhook_refusals_not_logged",
        {{"count", not_logged}});
  }
  return may_log;
}

}  // namespace waggle
