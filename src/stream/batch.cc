#include "stream/batch.h"

#include <string_view>

#include "event/event_view.h"
#include "event/redaction.h"
#include "event/wire.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

constexpr size_t kMaxBoolField = 2;

}  // namespace

size_t BatchBuilder::SizeOf(const StoredEvent& event,
                            size_t event_bytes) const {
  return event_bytes +
         (parts_.payload ? wire::BytesFieldSize(v1::Event::kPayloadFieldNumber,
                                                event.payload.size())
                         : 0);
}

void BatchBuilder::Add(const StoredEvent& event) {
  const size_t begin = redacted_.size();
  size_t size = event.event.size();
  if (!parts_.personal_data) {
    // What cannot be vouched for is not sent.
    if (!AppendRedacted(event.event, redacted_)) return;
    size = redacted_.size() - begin;
  }
  events_.push_back({&event, redacted_.size()});
  bytes_ += wire::BytesFieldSize(v1::SubscribeResponse::kEventsFieldNumber,
                                 SizeOf(event, size));
}

BatchPtr BatchBuilder::Finish(const Cursor& cursor, bool caught_up,
                              bool from_memory) {
  const std::string text = cursor.Encode();
  auto batch = std::make_shared<Batch>();
  batch->events = events_.size();
  if (from_memory && !events_.empty()) {
    batch->oldest_received_at = ReceivedAt(events_.front().event->event);
  }
  batch->through = cursor.sequence;
  std::string& out = batch->message;
  out.reserve(bytes_ +
              wire::BytesFieldSize(v1::SubscribeResponse::kCursorFieldNumber,
                                   text.size()) +
              kMaxBoolField);
  size_t begin = 0;
  for (const auto& [event, end] : events_) {
    const std::string_view bytes =
        parts_.personal_data
            ? event->event
            : std::string_view(redacted_).substr(begin, end - begin);
    begin = end;
    wire::AppendBytesHeader(out, v1::SubscribeResponse::kEventsFieldNumber,
                            SizeOf(*event, bytes.size()));
    out.append(bytes);
    // A message may be written in pieces: the payload follows the rest.
    if (parts_.payload) {
      wire::AppendBytesField(out, v1::Event::kPayloadFieldNumber,
                             event->payload);
    }
  }
  wire::AppendBytesField(out, v1::SubscribeResponse::kCursorFieldNumber, text);
  if (caught_up) {
    wire::AppendVarint(out, wire::WireFormat::MakeTag(
                                v1::SubscribeResponse::kCaughtUpFieldNumber,
                                wire::WireFormat::WIRETYPE_VARINT));
    wire::AppendVarint(out, 1);
  }
  events_.clear();
  redacted_.clear();
  bytes_ = 0;
  return batch;
}

}  // namespace waggle
