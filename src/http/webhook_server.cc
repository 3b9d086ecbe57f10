#include "http/webhook_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "event/delivery_outcome.h"
#include "event/proto_time.h"
#include "http/client_address.h"
#include "ingest/trace_context.h"

namespace waggle {
namespace {

constexpr std::string_view kSignatureField = "X-Bindbee-Webhook-Signature";
constexpr std::string_view kForwardedForField = "X-Forwarded-For";
constexpr std::string_view kTraceparentField = "traceparent";
constexpr std::string_view kPathPrefix = "/webhooks/";
// Of an HMAC-SHA256 in base64.
constexpr size_t kSignatureLength = 44;
constexpr int kRefusalsLoggedPerSecond = 20;
// What a stranger may put into a log line or a record, in bytes.
constexpr size_t kMaxRecordedPath = 64;

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

v1::DeliveryOutcome OutcomeOf(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kMalformed:
    case RefusalReason::kEncodedContent:
    case RefusalReason::kUnknownExpectation:
    case RefusalReason::kUnsupportedVersion:
      return v1::DELIVERY_OUTCOME_MALFORMED;
    case RefusalReason::kTimeout:
      return v1::DELIVERY_OUTCOME_TIMEOUT;
    case RefusalReason::kBodyTooLarge:
      return v1::DELIVERY_OUTCOME_TOO_LARGE;
    case RefusalReason::kTargetTooLong:
    case RefusalReason::kHeaderTooLarge:
      return v1::DELIVERY_OUTCOME_HEADER_TOO_LARGE;
    case RefusalReason::kTooManyConnections:
    case RefusalReason::kTooManyFromAddress:
    case RefusalReason::kTooMuchBuffered:
    case RefusalReason::kTooManyRequests:
      return v1::DELIVERY_OUTCOME_OVERLOADED;
    case RefusalReason::kDraining:
      return v1::DELIVERY_OUTCOME_DRAINING;
    case RefusalReason::kHandshakeFailed:
      return v1::DELIVERY_OUTCOME_HANDSHAKE_FAILED;
    case RefusalReason::kAborted:
      return v1::DELIVERY_OUTCOME_ABORTED;
  }
  return v1::DELIVERY_OUTCOME_MALFORMED;
}

}  // namespace

WebhookServer::WebhookServer(WebhookOptions options, Receiver& receiver,
                             DeliveryRecorder& recorder, Metrics& metrics)
    : retry_after_(options.guard.retry_after),
      failures_({.per_second = options.max_failures_per_minute / 60,
                 .burst = std::max(1.0, options.max_failures_per_minute)}),
      failure_pause_(
          absl::Ceil(absl::Minutes(1) / options.max_failures_per_minute,
                     absl::Seconds(1))),
      trusted_proxies_(std::move(options.trusted_proxies)),
      receiver_(receiver),
      recorder_(recorder),
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
      server_(std::move(options.guard), *this) {
  for (const std::string& endpoint : options.endpoints) {
    doors_.push_back(MakeDoor(endpoint));
  }
}

WebhookServer::~WebhookServer() = default;

void WebhookServer::RefreshMetrics() {
  connections_.Set(static_cast<double>(server_.connections()));
}

std::unique_ptr<WebhookServer::Door> WebhookServer::MakeDoor(
    const std::string& endpoint) {
  auto door = std::make_unique<Door>();
  door->endpoint = endpoint;
  for (size_t i = 1; i < door->counters.size(); ++i) {
    door->counters[i] = &metrics_.Counter(
        "waggle_webhook_requests_total",
        "Webhooks by what became of them; without an endpoint if it is not "
        "known.",
        {{"endpoint", endpoint},
         {"result", std::string(Name(static_cast<v1::DeliveryOutcome>(i)))}});
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

std::string WebhookServer::ClientOf(const HttpRequest& request) const {
  // A trusted proxy's own entry is the last: before all fields are there, one
  // that the client wrote could be taken for it.
  if (trusted_proxies_.empty() || !request.head_complete()) {
    return request.remote_address;
  }
  return ClientAddress(request.remote_address,
                       request.HeaderValues(kForwardedForField),
                       trusted_proxies_);
}

v1::Delivery WebhookServer::Describe(const HttpRequest& request,
                                     const Door* door) const {
  v1::Delivery delivery;
  if (door != nullptr) {
    delivery.set_endpoint(door->endpoint);
  } else {
    delivery.set_path(std::string(request.path().substr(0, kMaxRecordedPath)));
  }
  delivery.set_remote_address(ClientOf(request));
  delivery.set_size_bytes(request.body.size());
  delivery.set_traceparent(
      TraceparentOf(request.HeaderValues(kTraceparentField)));
  return delivery;
}

std::optional<HttpResponse> WebhookServer::Screen(const HttpRequest& request) {
  const Door* door = Find(request.path());
  if (door == nullptr) {
    NoteUnreceived(request, door, v1::DELIVERY_OUTCOME_NOT_FOUND, 404);
    return ProblemResponse(
        404, "No such endpoint; post to /webhooks/ and a configured name.");
  }
  if (request.method() != "POST") {
    NoteUnreceived(request, door, v1::DELIVERY_OUTCOME_METHOD_NOT_ALLOWED, 405);
    HttpResponse response = ProblemResponse(405, "Use POST.");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  const auto signatures = request.HeaderValues(kSignatureField);
  const bool may_be_authentic =
      signatures.size() == 1 && signatures[0].size() == kSignatureLength;
  if (!may_be_authentic && failures_.Exhausted(AddressKey(ClientOf(request)))) {
    NoteUnreceived(request, door, v1::DELIVERY_OUTCOME_THROTTLED, 429);
    return Throttled();
  }
  return std::nullopt;
}

void WebhookServer::Handle(HttpRequest request, HttpResponder respond) {
  const Door* const door = Find(request.path());
  const TimePoint completed_at = request.completed_at;
  body_bytes_.Increment(static_cast<double>(request.body.size()));
  const auto signatures = request.HeaderValues(kSignatureField);
  ReceivedWebhook webhook;
  webhook.signatures = signatures;
  webhook.delivery = Describe(request, door);
  *webhook.delivery.mutable_read_duration() =
      ToProto(absl::FromChrono(completed_at - request.started_at));
  webhook.body = std::move(request.body);
  receiver_.Receive(
      std::move(webhook),
      [this, door, completed_at, respond = std::move(respond)](
          absl::StatusOr<Appended> appended, DeliveryPtr delivery) mutable {
        respond([this, door, completed_at, appended = std::move(appended),
                 delivery = std::move(delivery)] {
          return Answer(*door, completed_at, appended, *delivery);
        });
      });
}

void WebhookServer::OnRefused(const Refusal& refusal,
                              const HttpRequest& request) {
  NoteUnreceived(request, Find(request.path()), OutcomeOf(refusal.reason),
                 StatusOf(refusal.reason));
}

HttpResponse WebhookServer::Answer(const Door& door, TimePoint completed_at,
                                   const absl::StatusOr<Appended>& appended,
                                   const v1::Delivery& delivery) {
  return appended.ok() ? AnswerStored(door, completed_at, *appended, delivery)
                       : AnswerError(door, appended.status(), delivery);
}

HttpResponse WebhookServer::AnswerStored(const Door& door,
                                         TimePoint completed_at,
                                         const Appended& appended,
                                         const v1::Delivery& delivery) {
  const v1::DeliveryOutcome outcome = appended.duplicate
                                          ? v1::DELIVERY_OUTCOME_DUPLICATE
                                          : v1::DELIVERY_OUTCOME_ACCEPTED;
  const double milliseconds = MillisecondsSince(completed_at);
  door.counters[outcome]->Increment();
  accept_seconds_.Observe(milliseconds / 1000);
  Log(LogLevel::kInfo, "webhook",
      {{"endpoint", door.endpoint},
       {"remote", delivery.remote_address()},
       {"size", delivery.size_bytes()},
       {"status", 200},
       {"result", Name(outcome)},
       {"type", delivery.type_name()},
       {"id", appended.id},
       {"sequence", appended.sequence.value()},
       {"duplicate", appended.duplicate},
       {"duration_ms", milliseconds},
       {"trace", TraceIdOf(delivery.traceparent())}});
  HttpResponse response;
  response.content_type = "application/json";
  response.body = absl::StrCat(R"({"id":")", appended.id, R"(","sequence":)",
                               appended.sequence.value(), R"(,"duplicate":)",
                               appended.duplicate ? "true" : "false", "}\n");
  return response;
}

HttpResponse WebhookServer::AnswerError(const Door& door,
                                        const absl::Status& status,
                                        v1::Delivery delivery) {
  if (absl::IsUnauthenticated(status)) {
    if (!failures_.Take(AddressKey(delivery.remote_address()))) {
      NoteRefusal(door, std::move(delivery), v1::DELIVERY_OUTCOME_THROTTLED,
                  429);
      return Throttled();
    }
    NoteRefusal(door, std::move(delivery), v1::DELIVERY_OUTCOME_UNAUTHENTICATED,
                401);
    HttpResponse response = ProblemResponse(
        401,
        "Sign the exact body with a key of this endpoint, and send the "
        "signature in one X-Bindbee-Webhook-Signature field.");
    response.headers.emplace_back("WWW-Authenticate",
                                  "Bindbee-Webhook-Signature");
    return response;
  }
  // Whatever else went wrong is on this side, and a repetition may succeed.
  NoteRefusal(door, std::move(delivery), v1::DELIVERY_OUTCOME_UNAVAILABLE, 503);
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

void WebhookServer::NoteUnreceived(const HttpRequest& request, const Door* door,
                                   v1::DeliveryOutcome outcome, int status) {
  if (door != nullptr) receiver_.NoteRefused(door->endpoint);
  NoteRefusal(door != nullptr ? *door : *unknown_, Describe(request, door),
              outcome, status);
}

void WebhookServer::NoteRefusal(const Door& door, v1::Delivery delivery,
                                v1::DeliveryOutcome outcome, int status) {
  door.counters[outcome]->Increment();
  if (MayLogRefusal()) {
    const bool known = !delivery.endpoint().empty();
    Log(LogLevel::kInfo, "webhook",
        {{known ? "endpoint" : "path",
          known ? delivery.endpoint() : delivery.path()},
         {"remote", delivery.remote_address()},
         {"size", delivery.size_bytes()},
         {"status", status},
         {"result", Name(outcome)},
         {"trace", TraceIdOf(delivery.traceparent())}});
  }
  delivery.set_outcome(outcome);
  delivery.set_http_status(static_cast<uint32_t>(status));
  recorder_.Record(std::move(delivery));
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
