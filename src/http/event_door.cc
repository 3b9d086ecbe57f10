#include "http/event_door.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/errors.h"
#include "api/stream_timing.h"
#include "http/event_query.h"
#include "http/event_text.h"
#include "http/http_stream.h"
#include "http/problem.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

constexpr size_t kWriters = 2;

HttpResponse Harden(HttpResponse response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  return response;
}

HttpResponse Problem(const absl::Status& error) {
  return Harden(ProblemOf(error, ParameterOf));
}

// What was understood and will be answered by a stream.
HttpResponse Answer(std::shared_ptr<HttpStream> lease) {
  HttpResponse response;
  response.content_type = "text/event-stream";
  // Proxies that would gather the answer before they pass it on.
  response.headers.emplace_back("X-Accel-Buffering", "no");
  response.stream = std::move(lease);
  return Harden(std::move(response));
}

}  // namespace

// One stream. The door's threads write its text, and take in what the server
// tells of it, which may come while the stream's lock is held.
class EventDoor::SseStream final : public EventStream, public HttpStreamSource {
 public:
  SseStream(EventDoor& door, std::string address, EventData data,
            HttpResponder respond)
      : EventStream(door.streams_.BackendsOf(door.gate_), kEventsPath),
        door_(door),
        address_(std::move(address)),
        data_(data),
        respond_(std::move(respond)) {}

  void OnWritten() override {
    door_.writers_.Submit([self = Self()] { self->OnSent(true); });
  }

  void OnClosed() override {
    door_.writers_.Submit([self = Self()] { self->Leave(); });
  }

 private:
  std::shared_ptr<SseStream> Self() {
    return std::static_pointer_cast<SseStream>(shared_from_this());
  }

  void SendBatch(BatchPtr batch) override {
    std::string start;
    if (respond_.has_value()) {
      start = EventStreamStart();
      stream_ = std::make_shared<HttpStream>(Self());
      Respond([lease = stream_->Lease()]() mutable {
        return Answer(std::move(lease));
      });
    }
    door_.writers_.Submit(
        [self = Self(), start = std::move(start), batch = std::move(batch)] {
          self->stream_->Write(absl::StrCat(
              start,
              ToEventStream(*batch, self->door_.hub_.store_id(), self->data_)));
        });
  }

  void SendEnd(const absl::Status& status) override {
    if (respond_.has_value()) {
      // It can only have been cancelled by an Abort().
      Respond(
          [error = absl::IsCancelled(status)
                       ? StreamRotated("the gateway is stopping", kRotateRetry)
                       : status] { return Problem(error); });
      OnClosed();
    } else if (status.ok() || absl::IsCancelled(status)) {
      stream_->End();
    } else {
      stream_->End(ToEventStream(Problem(status)));
    }
  }

  void Cut() override {
    if (stream_ != nullptr) {
      stream_->Cut();
    } else {
      door_.writers_.Submit([self = Self()] { self->OnClientGone(); });
    }
  }

  void Respond(HttpResponder::MakeResponse make) {
    (*respond_)(std::move(make));
    respond_.reset();
  }

  void Leave() {
    OnTransportDone();
    door_.Leave(address_);
  }

  EventDoor& door_;
  const std::string address_;
  const EventData data_;
  // Until the answer has begun.
  std::optional<HttpResponder> respond_;
  // Null before that.
  std::shared_ptr<HttpStream> stream_;
};

EventDoor::EventDoor(EventStreams& streams, const EventHub& hub,
                     const AccessControl& access, CallCounts& calls,
                     Metrics& metrics, std::shared_ptr<const Principal> local,
                     const Limits& limits)
    : streams_(streams),
      hub_(hub),
      gate_(access, calls, metrics, std::move(local)),
      limits_(limits),
      places_(limits.max_streams, limits.max_streams_per_address,
              /*max_refused=*/0),
      writers_(kWriters) {}

EventDoor::~EventDoor() {
  MutexLock lock(mu_);
  while (open_ > 0) left_.Wait(mu_);
}

void EventDoor::Serve(const HttpRequest& request, HttpResponder respond) {
  const absl::Status status = TryServe(request, respond);
  if (status.ok()) return;
  gate_.CountEnd(kEventsPath, status.code());
  respond([status] { return Problem(status); });
}

// The responder is used up unless this fails.
absl::Status EventDoor::TryServe(const HttpRequest& request,
                                 HttpResponder& respond) {
  Call call;
  call.address = request.remote_address;
  // Each stream has a connection of its own.
  call.connection = absl::StrCat("http/", ++requests_);
  const auto authorizations = request.HeaderValues("Authorization");
  call.several_authorizations = authorizations.size() > 1;
  if (!authorizations.empty()) {
    call.credentials.authorization = authorizations.front();
  }
  Admission admission;
  absl::Status status = gate_.Admit(call, kEventsPath, admission);
  if (!status.ok()) return status;

  const auto ids = request.HeaderValues("Last-Event-ID");
  if (ids.size() > 1) {
    return InvalidFields({{"Last-Event-ID", "give it once"}});
  }
  const absl::StatusOr<v1::SubscribeRequest> subscribe =
      ParseEventQuery(request.query(), ids.empty() ? "" : ids.front());
  if (!subscribe.ok()) return subscribe.status();

  switch (places_.Enter(admission.address).verdict) {
    case ConnectionLimits::Verdict::kAdmitted:
      break;
    case ConnectionLimits::Verdict::kTooMany:
      return gate_.Refuse(admission, kEventsPath,
                          TooMany("streams of the admin door",
                                  static_cast<int>(limits_.max_streams)));
    case ConnectionLimits::Verdict::kTooManyFromAddress:
      return gate_.Refuse(
          admission, kEventsPath,
          TooMany("streams of one address at the admin door",
                  static_cast<int>(limits_.max_streams_per_address)));
  }
  Enter();
  const auto stream = std::make_shared<SseStream>(
      *this, admission.address, EventDataFor(request), std::move(respond));
  streams_.Open(*subscribe, admission, gate_, kEventsPath, stream);
  return absl::OkStatus();
}

void EventDoor::Enter() {
  MutexLock lock(mu_);
  ++open_;
}

void EventDoor::Leave(const std::string& address) {
  places_.Leave(address, ConnectionLimits::Verdict::kAdmitted);
  MutexLock lock(mu_);
  if (--open_ == 0) left_.SignalAll();
}

}  // namespace waggle
