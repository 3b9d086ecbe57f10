#include "rpc/event_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "event/redaction.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "rpc/errors.h"
#include "rpc/subscribe_stream.h"
#include "stream/subscription.h"

namespace waggle::rpc {
namespace {

using google::protobuf::util::TimeUtil;

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
constexpr size_t kMaxIdSize = 64;

// The ranges that timestamp.proto and duration.proto give.
bool IsValid(const google::protobuf::Timestamp& time) {
  return time.seconds() >= TimeUtil::kTimestampMinSeconds &&
         time.seconds() <= TimeUtil::kTimestampMaxSeconds &&
         time.nanos() >= 0 && time.nanos() < 1'000'000'000;
}

bool IsValid(const google::protobuf::Duration& duration) {
  return duration.nanos() > -1'000'000'000 && duration.nanos() < 1'000'000'000;
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

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

// Ages differ by up to a fifth, so that streams which were opened together do
// not come back together.
absl::Duration Jittered(absl::Duration age) {
  if (age == absl::InfiniteDuration()) return age;
  thread_local absl::BitGen random;
  return age * absl::Uniform(random, 0.8, 1.0);
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

// The event as its caller may see it.
void Fill(const StoredEvent& event, bool personal_data, bool include_payload,
          v1::Event& proto) {
  if (personal_data) {
    proto.ParseFromString(event.event);
  } else {
    std::string redacted;
    if (AppendRedacted(event.event, redacted)) proto.ParseFromString(redacted);
  }
  if (include_payload) proto.set_payload(event.payload);
}

// Of an event that the rights do not allow: the first field of the allow-list
// that excludes it.
MissingRight ExcludedBy(const Rights& rights, const EventView& event) {
  const auto& allow = *rights.allow;
  const auto* descriptor = config::v1::AllowList::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    // The allow-list with this field alone.
    Rights one;
    one.allow = allow;
    for (int j = 0; j < descriptor->field_count(); ++j) {
      if (j == i) continue;
      one.allow->GetReflection()->ClearField(&*one.allow, descriptor->field(j));
    }
    if (!Filter::Compile(one.Restrict({}))->Matches(event)) {
      return {descriptor->field(i)->name(), "",
              absl::StrCat("this event is none of the ",
                           descriptor->field(i)->name(), " that you may read")};
    }
  }
  return {"events", "", "you may not read this event"};
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
    Fill(event, personal_data_, include_payload, *response_.add_events());
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
                           ThreadPool& readers, StreamRegistry& registry,
                           Gate& gate, const Options& options)
    : store_(store),
      hub_(hub),
      readers_(readers),
      registry_(registry),
      gate_(gate),
      options_(options),
      calls_(gate, readers) {}

grpc::ServerWriteReactor<grpc::ByteBuffer>* EventService::Subscribe(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto stream =
      SubscribeStream::Create(hub_, registry_, gate_.access(), *context);
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
  options.filters = request.filters();
  // Who comes back then shows what is valid.
  options.max_age = std::min(Jittered(options_.max_stream_age),
                             admission.caller.expires_at - absl::Now());
  options.heartbeat_interval = request.has_heartbeat_interval()
                                   ? ToDuration(request.heartbeat_interval())
                                   : kDefaultHeartbeat;
  SubscriptionOptions& subscription = options.subscription;
  subscription.filter = Filter::Compile(rights.Restrict(request.filters()));
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
    return StreamRotated("the gateway is draining", absl::Milliseconds(500));
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
  return calls_.Run<v1::GetEventRequest, v1::GetEventResponse>(
      *context, kGetEventMethod, *request, *response,
      [this](const auto& typed, const Admission& admission, auto& event) {
        return ReadEvent(typed, admission, event);
      });
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

grpc::Status EventService::ReadEvent(const v1::GetEventRequest& request,
                                     const Admission& admission,
                                     v1::GetEventResponse& response) {
  if (request.id().empty() || request.id().size() > kMaxIdSize) {
    return InvalidFields({{"id", "must be the id of an event"}});
  }
  const Rights& rights = admission.caller.principal->rights;
  if (const auto missing = rights.MissingFor({}, request.include_payload())) {
    return gate_.Refuse(admission, kGetEventMethod, *missing);
  }
  const auto event = store_.ReadById(request.id(), request.include_payload());
  if (!event.ok()) {
    return absl::IsNotFound(event.status()) ? EventNotFound()
                                            : StoreUnavailable(event.status());
  }
  EventView view;
  const auto allowed = Filter::Compile(rights.Restrict({}));
  if (!allowed->matches_all() &&
      (!EventView::Parse((*event)->event, view) || !allowed->Matches(view))) {
    return gate_.Refuse(admission, kGetEventMethod, ExcludedBy(rights, view));
  }
  Fill(**event, rights.personal_data, request.include_payload(),
       *response.mutable_event());
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
