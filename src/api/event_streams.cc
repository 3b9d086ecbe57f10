#include "api/event_streams.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/errors.h"
#include "api/stream_timing.h"
#include "event/cursor.h"
#include "event/proto_time.h"
#include "stream/subscription.h"

namespace waggle {
namespace {

constexpr uint32_t kDefaultBatch = 64;
constexpr uint32_t kMaxBatch = 256;
constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(30);
constexpr absl::Duration kMinHeartbeat = absl::Seconds(1);
constexpr absl::Duration kMaxHeartbeat = absl::Minutes(10);

}  // namespace

EventStreams::EventStreams(EventStore& store, EventHub& hub,
                           ThreadPool& readers, StreamRegistry& registry,
                           SubscriberJournal& journal, const Options& options)
    : store_(store),
      hub_(hub),
      readers_(readers),
      registry_(registry),
      journal_(journal),
      options_(options) {}

std::vector<FieldViolation> EventStreams::CheckFilters(
    const Filter::Protos& filters) const {
  return Filter::Validate(filters, options_.filters);
}

void EventStreams::CheckSince(const google::protobuf::Timestamp& since,
                              std::vector<FieldViolation>& violations) {
  if (!IsValid(since)) {
    violations.push_back({"since", "not a time between the years 1 and 9999"});
  }
}

std::vector<FieldViolation> EventStreams::Check(
    const v1::SubscribeRequest& request) const {
  std::vector<FieldViolation> violations = CheckFilters(request.filters());
  if (request.has_since()) CheckSince(request.since(), violations);
  if (request.has_position() &&
      !v1::StartPosition_IsValid(request.position())) {
    violations.push_back({"position", "use EARLIEST or LATEST"});
  }
  if (request.max_batch_size() > kMaxBatch) {
    violations.push_back(
        {"max_batch_size", absl::StrCat("at most ", kMaxBatch)});
  }
  if (request.has_heartbeat_interval()) {
    const absl::Duration interval = ToDuration(request.heartbeat_interval());
    if (!IsValid(request.heartbeat_interval()) || interval < kMinHeartbeat ||
        interval > kMaxHeartbeat) {
      violations.push_back(
          {"heartbeat_interval",
           absl::StrCat("must be ", absl::FormatDuration(kMinHeartbeat), " to ",
                        absl::FormatDuration(kMaxHeartbeat))});
    }
  }
  return violations;
}

void EventStreams::Open(const v1::SubscribeRequest& request,
                        const Admission& admission, Gate& gate,
                        std::string_view method,
                        const std::shared_ptr<EventStream>& stream) {
  const absl::Status status = TryOpen(request, admission, gate, method, stream);
  if (!status.ok()) stream->Refuse(status);
}

absl::Status EventStreams::TryOpen(const v1::SubscribeRequest& request,
                                   const Admission& admission, Gate& gate,
                                   std::string_view method,
                                   const std::shared_ptr<EventStream>& stream) {
  const std::vector<FieldViolation> violations = Check(request);
  if (!violations.empty()) return InvalidFields(violations);
  const Rights& rights = admission.caller.principal->rights;
  if (const auto missing =
          rights.MissingFor(request.filters(), request.include_payload())) {
    return gate.Refuse(admission, method, *missing);
  }

  StreamOptions options;
  options.caller = admission.caller;
  options.access_generation = admission.generation;
  options.address = admission.address;
  options.filters = request.filters();
  options.effective_filters = rights.Restrict(request.filters());
  options.max_age =
      StreamAge(options_.max_stream_age, admission.caller.expires_at);
  options.heartbeat_interval = request.has_heartbeat_interval()
                                   ? ToDuration(request.heartbeat_interval())
                                   : kDefaultHeartbeat;
  SubscriptionOptions& subscription = options.subscription;
  subscription.filter = Filter::Compile(options.effective_filters);
  subscription.parts = {.payload = request.include_payload(),
                        .personal_data = rights.personal_data};
  subscription.max_batch =
      request.max_batch_size() == 0 ? kDefaultBatch : request.max_batch_size();
  subscription.after = hub_.last();
  if (request.stop_when_caught_up()) subscription.stop_at = subscription.after;
  if (request.has_after_cursor()) {
    const auto position = PositionOf(request.after_cursor());
    if (!position.ok()) return position.status();
    subscription.after = *position;
  } else if (request.has_position() &&
             request.position() == v1::START_POSITION_EARLIEST) {
    subscription.after = store_.Bounds().trimmed_through;
  }

  absl::Status entered = registry_.Enter(stream, admission, gate, method);
  if (!entered.ok()) return entered;
  if (!request.has_since()) {
    stream->Begin(options);
    return absl::OkStatus();
  }
  readers_.Submit([this, stream, options, since = request.since()]() mutable {
    const auto position = PositionBefore(since);
    if (position.ok()) {
      options.subscription.after = *position;
      stream->Begin(options);
    } else {
      stream->Refuse(position.status());
    }
  });
  return absl::OkStatus();
}

absl::StatusOr<Sequence> EventStreams::PositionOf(
    const std::string& cursor_text) const {
  const auto cursor = Cursor::Decode(cursor_text);
  if (!cursor.ok()) return CursorMalformed();
  const StoreBounds bounds = store_.Bounds();
  if (cursor->store != store_.id() || cursor->sequence > bounds.last) {
    return CursorStoreMismatch();
  }
  if (cursor->sequence < bounds.trimmed_through) {
    return CursorExpired(store_.id(), bounds);
  }
  return cursor->sequence;
}

absl::StatusOr<Sequence> EventStreams::PositionBefore(
    const google::protobuf::Timestamp& since) {
  const auto before = store_.PositionBefore(ToTime(since));
  if (!before.ok()) return StoreUnavailable(before.status());
  return *before;
}

}  // namespace waggle
