#include "rpc/event_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/errors.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "ops/visible_event.h"
#include "rpc/grpc_call.h"
#include "rpc/subscribe_stream.h"

namespace waggle::rpc {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1000;
// A page ends early after so many bytes of events, or after so many events that
// did not match. One event may be larger than that, but no page of several is:
// gRPC's clients accept 4 MiB.
constexpr size_t kMaxPageBytes = 1 << 20;
constexpr size_t kMaxPageScan = 50'000;

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
                           EventStreams& streams, Gate& gate)
    : store_(store),
      hub_(hub),
      streams_(streams),
      gate_(gate),
      calls_(gate, readers),
      operator_calls_(gate, readers, operators) {}

grpc::ServerWriteReactor<grpc::ByteBuffer>* EventService::Subscribe(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto stream = SubscribeStream::Create(streams_.BackendsOf(gate_), *context);
  Admission admission;
  const absl::Status status =
      gate_.Admit(CallOf(*context), kSubscribeMethod, admission);
  if (!status.ok()) {
    stream->Refuse(status);
    return stream.get();
  }
  v1::SubscribeRequest proto;
  // Deserialising consumes its input, which is shared with nobody.
  grpc::ByteBuffer bytes = *request;
  if (grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&bytes,
                                                                   &proto)
          .ok()) {
    streams_.Open(proto, admission, gate_, kSubscribeMethod, stream);
  } else {
    stream->Refuse(NotARequest("SubscribeRequest"));
  }
  return stream.get();
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

absl::Status EventService::ListPage(const v1::ListEventsRequest& request,
                                    const Admission& admission,
                                    v1::ListEventsResponse& response) {
  std::vector<FieldViolation> violations =
      streams_.CheckFilters(request.filters());
  if (request.has_since()) {
    EventStreams::CheckSince(request.since(), violations);
  }
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
  absl::StatusOr<Sequence> start;
  if (request.page_token().empty()) {
    start = StartOf(request);
  } else {
    const std::string& token = request.page_token();
    if (token.size() <= mark.size() ||
        token.compare(token.size() - mark.size(), mark.size(), mark) != 0) {
      return PageTokenMalformed();
    }
    start = streams_.PositionOf(token.substr(0, token.size() - mark.size()));
    if (absl::IsInvalidArgument(start.status())) return PageTokenMalformed();
  }
  if (!start.ok()) return start.status();
  page_request.after = *start;

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
  return absl::OkStatus();
}

absl::StatusOr<Sequence> EventService::StartOf(
    const v1::ListEventsRequest& request) {
  if (request.has_after_cursor()) {
    return streams_.PositionOf(request.after_cursor());
  }
  if (request.has_since()) return streams_.PositionBefore(request.since());
  return store_.Bounds().trimmed_through;
}

}  // namespace waggle::rpc
