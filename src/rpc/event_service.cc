#include "rpc/event_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "event/proto_time.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "ops/visible_event.h"
#include "rpc/errors.h"
#include "rpc/stream_timing.h"
#include "rpc/subscribe_stream.h"
#include "stream/subscription.h"

namespace waggle::rpc {
namespace {

constexpr uint32_t kDefaultBatch = 64;
constexpr uint32_t kMaxBatch = 256;
constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(30);
constexpr absl::Duration kMinHeartbeat = absl::Seconds(1);
constexpr absl::Duration kMaxHeartbeat = absl::Minutes(10);

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1000;
// A page ends early after so many bytes of events, or after so many events that
// did not match. One event may be larger than that, but no page of several is:
// gRPC's clients accept 4 MiB.
constexpr size_t kMaxPageBytes = 1 << 20;
constexpr size_t kMaxPageScan = 50'000;

void CheckSince(const google::protobuf::Timestamp& since,
                std::vector<FieldViolation>& violations) {
  if (!IsValid(since)) {
    violations.push_back({"since", "not a time between the years 1 and 9999"});
  }
}

std::vector<FieldViolation> Check(const v1::SubscribeRequest& request,
                                  const FilterLimits& limits) {
  std::vector<FieldViolation> violations =
      Filter::Validate(request.filters(), limits);
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

std::vector<FieldViolation> Check(const v1::ListEventsRequest& request,
                                  const FilterLimits& limits) {
  std::vector<FieldViolation> violations =
      Filter::Validate(request.filters(), limits);
  if (request.has_since()) CheckSince(request.since(), violations);
  return violations;
}

// A page token is a cursor and a mark of the filters that it belongs to.
std::string FilterMark(const Filter& filter) {
  // FNV-1a: equal in every process and on every machine.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : filter.key()) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return absl::StrFormat("%016x", hash);
}

// What is left of a page that is being filled.
class PageWriter {
 public:
  PageWriter(const v1::ListEventsRequest& request, const Filter& filter,
             bool personal_data, v1::ListEventsResponse& response)
      : filter_(filter),
        personal_data_(personal_data),
        response_(response),
        events_left_(request.page_size() == 0
                         ? kDefaultPageSize
                         : std::min(request.page_size(), kMaxPageSize)) {}

  bool full() const {
    return events_left_ == 0 || bytes_ >= kMaxPageBytes ||
           scanned_ >= kMaxPageScan;
  }
  size_t events_left() const { return events_left_; }

  // False if the event belongs on the next page.
  bool Take(const StoredEvent& event, bool include_payload) {
    if (full()) return false;
    ++scanned_;
    EventView view;
    if (!filter_.matches_all() &&
        (!EventView::Parse(event.event, view) || !filter_.Matches(view))) {
      return true;
    }
    const size_t size = event.event.size() + event.payload.size();
    if (bytes_ > 0 && bytes_ + size > kMaxPageBytes) {
      events_left_ = 0;
      return false;
    }
    *response_.add_events() =
        VisibleEvent(event, personal_data_, include_payload);
    bytes_ += size;
    --events_left_;
    return true;
  }

 private:
  const Filter& filter_;
  const bool personal_data_;
  v1::ListEventsResponse& response_;
  size_t events_left_;
  size_t bytes_ = 0;
  size_t scanned_ = 0;
};

}  // namespace

EventService::EventService(EventStore& store, EventHub& hub,
                           ThreadPool& readers, OperatorApi& operators,
                           StreamRegistry& registry, SubscriberJournal& journal,
                           Gate& gate, const Options& options)
    : store_(store),
      hub_(hub),
      readers_(readers),
      registry_(registry),
      journal_(journal),
      gate_(gate),
      options_(options),
      calls_(gate, readers),
      operator_calls_(gate, readers, operators) {}

grpc::ServerWriteReactor<grpc::ByteBuffer>* EventService::Subscribe(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto stream =
      SubscribeStream::Create(hub_, registry_, journal_, gate_, *context);
  Admission admission;
  grpc::Status status = gate_.Admit(*context, kSubscribeMethod, admission);
  if (!status.ok()) {
    stream->Refuse(status);
    return stream.get();
  }
  v1::SubscribeRequest proto;
  // Deserialising consumes its input, which is shared with nobody.
  grpc::ByteBuffer bytes = *request;
  status = grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&bytes,
                                                                        &proto);
  if (!status.ok()) {
    status = NotARequest("SubscribeRequest");
  } else {
    status = OpenStream(proto, admission, stream);
  }
  if (!status.ok()) stream->Refuse(status);
  return stream.get();
}

grpc::Status EventService::OpenStream(const v1::SubscribeRequest& request,
                                      const Admission& admission,
                                      std::shared_ptr<SubscribeStream> stream) {
  const std::vector<FieldViolation> violations =
      Check(request, options_.filters);
  if (!violations.empty()) return InvalidFields(violations);
  const Rights& rights = admission.caller.principal->rights;
  if (const auto missing =
          rights.MissingFor(request.filters(), request.include_payload())) {
    return gate_.Refuse(admission, kSubscribeMethod, *missing);
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
    grpc::Status status =
        ParseCursor(request.after_cursor(), subscription.after);
    if (!status.ok()) return status;
  } else if (request.has_position() &&
             request.position() == v1::START_POSITION_EARLIEST) {
    subscription.after = store_.Bounds().trimmed_through;
  }

  const std::optional<StreamQuota> in_the_way =
      registry_.Add(stream, {admission.caller.principal->name,
                             admission.address, admission.connection});
  // Asked after Add(): Drain() tells only what was added before it.
  if (registry_.draining()) {
    return StreamRotated("the gateway is draining", kRotateRetry);
  }
  if (in_the_way.has_value()) {
    return gate_.Refuse(admission, kSubscribeMethod,
                        TooMany(in_the_way->what, in_the_way->limit));
  }
  if (!request.has_since()) {
    stream->Begin(options);
    return grpc::Status::OK;
  }
  readers_.Submit([this, stream = std::move(stream), options,
                   since = request.since()]() mutable {
    const grpc::Status status =
        PositionBefore(since, options.subscription.after);
    if (status.ok()) {
      stream->Begin(options);
    } else {
      stream->Refuse(status);
    }
  });
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* EventService::ListEvents(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return calls_.Run<v1::ListEventsRequest, v1::ListEventsResponse>(
      *context, kListEventsMethod, *request, *response,
      [this](const auto& typed, const Admission& admission, auto& page) {
        return ListPage(typed, admission, page);
      });
}

grpc::ServerUnaryReactor* EventService::GetEvent(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return operator_calls_.Run(*context, kGetEventMethod, *request, *response,
                             &OperatorApi::GetEvent);
}

grpc::Status EventService::ListPage(const v1::ListEventsRequest& request,
                                    const Admission& admission,
                                    v1::ListEventsResponse& response) {
  const std::vector<FieldViolation> violations =
      Check(request, options_.filters);
  if (!violations.empty()) return InvalidFields(violations);
  const Rights& rights = admission.caller.principal->rights;
  if (const auto missing =
          rights.MissingFor(request.filters(), request.include_payload())) {
    return gate_.Refuse(admission, kListEventsMethod, *missing);
  }
  const std::shared_ptr<const Filter> filter =
      Filter::Compile(rights.Restrict(request.filters()));
  // Of the request's own filters: rights may change between two pages.
  const std::string mark = FilterMark(*Filter::Compile(request.filters()));

  PageRequest page_request;
  page_request.include_payload = request.include_payload();
  // Like a stream, a page shows only what the tail has told.
  page_request.through = hub_.last();
  page_request.after = store_.Bounds().trimmed_through;
  grpc::Status status;
  if (!request.page_token().empty()) {
    const std::string& token = request.page_token();
    if (token.size() <= mark.size() ||
        token.compare(token.size() - mark.size(), mark.size(), mark) != 0) {
      return PageTokenMalformed();
    }
    status = ParseCursor(token.substr(0, token.size() - mark.size()),
                         page_request.after);
    if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
      return PageTokenMalformed();
    }
  } else if (request.has_after_cursor()) {
    status = ParseCursor(request.after_cursor(), page_request.after);
  } else if (request.has_since()) {
    status = PositionBefore(request.since(), page_request.after);
  }
  if (!status.ok()) return status;

  PageWriter writer(request, *filter, rights.personal_data, response);
  while (!writer.full() && page_request.after < page_request.through) {
    if (filter->matches_all()) page_request.max_events = writer.events_left();
    const auto page = store_.ReadPage(page_request);
    if (!page.ok()) {
      return absl::IsOutOfRange(page.status())
                 ? CursorExpired(store_.id(), store_.Bounds())
                 : StoreUnavailable(page.status());
    }
    if (page->empty()) {
      page_request.after = page_request.through;
      break;
    }
    for (const StoredEventPtr& event : *page) {
      if (!writer.Take(*event, request.include_payload())) break;
      page_request.after = event->sequence;
    }
  }
  const std::string cursor = Cursor{store_.id(), page_request.after}.Encode();
  if (page_request.after < page_request.through) {
    response.set_next_page_token(absl::StrCat(cursor, mark));
  }
  response.set_cursor(cursor);
  return grpc::Status::OK;
}

grpc::Status EventService::ParseCursor(const std::string& text,
                                       Sequence& position) const {
  const auto cursor = Cursor::Decode(text);
  if (!cursor.ok()) return CursorMalformed();
  const StoreBounds bounds = store_.Bounds();
  if (cursor->store != store_.id() || cursor->sequence > bounds.last) {
    return CursorStoreMismatch();
  }
  if (cursor->sequence < bounds.trimmed_through) {
    return CursorExpired(store_.id(), bounds);
  }
  position = cursor->sequence;
  return grpc::Status::OK;
}

grpc::Status EventService::PositionBefore(
    const google::protobuf::Timestamp& since, Sequence& position) {
  const auto before = store_.PositionBefore(ToTime(since));
  if (!before.ok()) return StoreUnavailable(before.status());
  position = *before;
  return grpc::Status::OK;
}

}  // namespace waggle::rpc
