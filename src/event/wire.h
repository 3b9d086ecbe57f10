// Protobuf's wire format, for code that reads or writes a few fields of a
// message and leaves the rest as it is. Allocates nothing.
//
//   wire::VisitFields(bytes, [&](const wire::Field& field) {
//     if (field.number == 3) wire::AppendBytesField(out, 3, field.bytes);
//     return true;
//   });
#ifndef WAGGLE_EVENT_WIRE_H_
#define WAGGLE_EVENT_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace waggle::wire {

using WireFormat = google::protobuf::internal::WireFormatLite;

// One field as it stands in a message.
struct Field {
  int number = 0;
  WireFormat::WireType type = WireFormat::WIRETYPE_VARINT;
  std::string_view bytes;  // the value of a length-delimited field
  uint64_t varint = 0;     // the value of a varint field
  std::string_view whole;  // tag, length and value
};

// Calls `visit` with each field of the message. False if the message is
// malformed, or as soon as `visit` returns false; fields before were visited.
template <typename Visitor>
bool VisitFields(std::string_view message, Visitor visit) {
  google::protobuf::io::CodedInputStream input(
      reinterpret_cast<const uint8_t*>(message.data()),
      static_cast<int>(message.size()));
  size_t begin = 0;
  while (const uint32_t tag = input.ReadTag()) {
    Field field;
    field.number = WireFormat::GetTagFieldNumber(tag);
    field.type = WireFormat::GetTagWireType(tag);
    switch (field.type) {
      case WireFormat::WIRETYPE_VARINT:
        if (!input.ReadVarint64(&field.varint)) return false;
        break;
      case WireFormat::WIRETYPE_LENGTH_DELIMITED: {
        uint32_t size = 0;
        if (!input.ReadVarint32(&size)) return false;
        const auto at = static_cast<size_t>(input.CurrentPosition());
        if (size > message.size() - at) return false;
        field.bytes = message.substr(at, size);
        input.Skip(static_cast<int>(size));
        break;
      }
      default:
        if (!WireFormat::SkipField(&input, tag)) return false;
    }
    const auto end = static_cast<size_t>(input.CurrentPosition());
    field.whole = message.substr(begin, end - begin);
    begin = end;
    if (!visit(field)) return false;
  }
  return input.ConsumedEntireMessage();
}

inline void AppendVarint(std::string& out, uint64_t value) {
  uint8_t buffer[10];
  const uint8_t* end =
      google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(value,
                                                                    buffer);
  out.append(reinterpret_cast<const char*>(buffer),
             static_cast<size_t>(end - buffer));
}

inline void AppendVarintField(std::string& out, int field, uint64_t value) {
  AppendVarint(out, WireFormat::MakeTag(field, WireFormat::WIRETYPE_VARINT));
  AppendVarint(out, value);
}

// What precedes the value of a length-delimited field.
inline void AppendBytesHeader(std::string& out, int field, size_t size) {
  AppendVarint(
      out, WireFormat::MakeTag(field, WireFormat::WIRETYPE_LENGTH_DELIMITED));
  AppendVarint(out, size);
}

inline void AppendBytesField(std::string& out, int field,
                             std::string_view bytes) {
  AppendBytesHeader(out, field, bytes.size());
  out.append(bytes);
}

// Of a length-delimited field whose value has `size` bytes.
inline size_t BytesFieldSize(int field, size_t size) {
  using google::protobuf::io::CodedOutputStream;
  return CodedOutputStream::VarintSize32(WireFormat::MakeTag(
             field, WireFormat::WIRETYPE_LENGTH_DELIMITED)) +
         CodedOutputStream::VarintSize32(static_cast<uint32_t>(size)) + size;
}

}  // namespace waggle::wire

#endif  // WAGGLE_EVENT_WIRE_H_
