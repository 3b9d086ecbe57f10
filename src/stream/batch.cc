#include "stream/batch.h"

#include <cstdint>
#include <string_view>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

constexpr size_t kMaxBoolField = 2;

void AppendVarint(std::string& out, uint32_t value) {
  uint8_t buffer[5];
  const uint8_t* end = CodedOutputStream::WriteVarint32ToArray(value, buffer);
  out.append(reinterpret_cast<const char*>(buffer),
             static_cast<size_t>(end - buffer));
}

constexpr uint32_t LengthDelimitedTag(int field) {
  return WireFormatLite::MakeTag(field,
                                 WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

void AppendBytesField(std::string& out, int field, std::string_view bytes) {
  AppendVarint(out, LengthDelimitedTag(field));
  AppendVarint(out, static_cast<uint32_t>(bytes.size()));
  out.append(bytes);
}

// Of a length-delimited field whose value has `size` bytes.
size_t FieldSize(int field, size_t size) {
  return CodedOutputStream::VarintSize32(LengthDelimitedTag(field)) +
         CodedOutputStream::VarintSize32(static_cast<uint32_t>(size)) + size;
}

}  // namespace

size_t BatchBuilder::SizeOf(const StoredEvent& event) const {
  return event.event.size() +
         (include_payload_
              ? FieldSize(v1::Event::kPayloadFieldNumber, event.payload.size())
              : 0);
}

void BatchBuilder::Add(const StoredEvent& event) {
  events_.push_back(&event);
  bytes_ += FieldSize(v1::SubscribeResponse::kEventsFieldNumber, SizeOf(event));
}

BatchPtr BatchBuilder::Finish(const Cursor& cursor, bool caught_up) {
  const std::string text = cursor.Encode();
  auto batch = std::make_shared<Batch>();
  batch->events = events_.size();
  batch->through = cursor.sequence;
  std::string& out = batch->message;
  out.reserve(
      bytes_ +
      FieldSize(v1::SubscribeResponse::kCursorFieldNumber, text.size()) +
      kMaxBoolField);
  for (const StoredEvent* event : events_) {
    AppendVarint(out,
                 LengthDelimitedTag(v1::SubscribeResponse::kEventsFieldNumber));
    AppendVarint(out, static_cast<uint32_t>(SizeOf(*event)));
    out.append(event->event);
    // A message may be written in pieces: the payload follows the rest.
    if (include_payload_) {
      AppendBytesField(out, v1::Event::kPayloadFieldNumber, event->payload);
    }
  }
  AppendBytesField(out, v1::SubscribeResponse::kCursorFieldNumber, text);
  if (caught_up) {
    AppendVarint(out, WireFormatLite::MakeTag(
                          v1::SubscribeResponse::kCaughtUpFieldNumber,
                          WireFormatLite::WIRETYPE_VARINT));
    AppendVarint(out, 1);
  }
  events_.clear();
  bytes_ = 0;
  return batch;
}

}  // namespace waggle
