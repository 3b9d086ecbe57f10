#include "stream/batch.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

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

size_t BytesFieldSize(int field, std::string_view bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  return CodedOutputStream::VarintSize32(LengthDelimitedTag(field)) +
         CodedOutputStream::VarintSize32(size) + size;
}

}  // namespace

void BatchBuilder::Add(const StoredEvent& event) {
  std::string& out = batch_.message;
  if (!include_payload_) {
    AppendBytesField(out, v1::SubscribeResponse::kEventsFieldNumber,
                     event.event);
  } else {
    // A message may be written in pieces: the payload follows the rest.
    const size_t size =
        event.event.size() +
        BytesFieldSize(v1::Event::kPayloadFieldNumber, event.payload);
    AppendVarint(out,
                 LengthDelimitedTag(v1::SubscribeResponse::kEventsFieldNumber));
    AppendVarint(out, static_cast<uint32_t>(size));
    out.append(event.event);
    AppendBytesField(out, v1::Event::kPayloadFieldNumber, event.payload);
  }
  ++batch_.events;
}

BatchPtr BatchBuilder::Finish(const Cursor& cursor, bool caught_up) {
  AppendBytesField(batch_.message, v1::SubscribeResponse::kCursorFieldNumber,
                   cursor.Encode());
  if (caught_up) {
    AppendVarint(
        batch_.message,
        WireFormatLite::MakeTag(v1::SubscribeResponse::kCaughtUpFieldNumber,
                                WireFormatLite::WIRETYPE_VARINT));
    AppendVarint(batch_.message, 1);
  }
  batch_.through = cursor.sequence;
  return std::make_shared<const Batch>(std::exchange(batch_, Batch()));
}

}  // namespace waggle
