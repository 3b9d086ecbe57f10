#include "event/event_view.h"

#include "event/proto_time.h"
#include "event/wire.h"
#include "google/protobuf/io/coded_stream.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

using google::protobuf::io::CodedInputStream;
using wire::Field;

// What the view holds are varints and length-delimited fields. A field with
// another wire type is none that it knows, whatever its number.
template <typename Visitor>
bool VisitFields(std::string_view message, Visitor visit) {
  return wire::VisitFields(message, [&visit](const Field& field) {
    const bool is_known =
        field.type == wire::WireFormat::WIRETYPE_VARINT ||
        field.type == wire::WireFormat::WIRETYPE_LENGTH_DELIMITED;
    return is_known ? visit(field) : true;
  });
}

// A repeated enum may come packed or one by one (protobuf encoding guide).
bool AppendEnums(const Field& field, absl::InlinedVector<int, 4>& out) {
  if (field.bytes.data() == nullptr) {  // a varint; packed ones may be empty
    out.push_back(static_cast<int>(field.varint));
    return true;
  }
  CodedInputStream input(reinterpret_cast<const uint8_t*>(field.bytes.data()),
                         static_cast<int>(field.bytes.size()));
  uint64_t value = 0;
  while (input.CurrentPosition() < static_cast<int>(field.bytes.size())) {
    if (!input.ReadVarint64(&value)) return false;
    out.push_back(static_cast<int>(value));
  }
  return true;
}

bool ParseConnector(std::string_view bytes, EventView& view) {
  using v1::Connector;
  return VisitFields(bytes, [&view](const Field& field) {
    switch (field.number) {
      case Connector::kIdFieldNumber:
        view.connector_id = field.bytes;
        break;
      case Connector::kOriginIdFieldNumber:
        view.origin_id = field.bytes;
        break;
      case Connector::kIntegrationSlugFieldNumber:
        view.integration_slug = field.bytes;
        break;
      case Connector::kCategoriesFieldNumber:
        return AppendEnums(field, view.categories);
      case Connector::kStatusFieldNumber:
        view.connector_status = static_cast<int>(field.varint);
        break;
      default:
        break;
    }
    return true;
  });
}

bool ParseSync(std::string_view bytes, EventView& view) {
  return VisitFields(bytes, [&view](const Field& field) {
    if (field.number == v1::Sync::kTypeFieldNumber) {
      view.sync_type = static_cast<int>(field.varint);
    }
    return true;
  });
}

bool ParseDataModified(std::string_view bytes, EventView& view) {
  return VisitFields(bytes, [&view](const Field& field) {
    if (field.number != v1::DataModified::kChangesFieldNumber) return true;
    return VisitFields(field.bytes, [&view](const Field& inner) {
      if (inner.number == v1::ModelChange::kModelFieldNumber) {
        view.models.push_back(inner.bytes);
      }
      return true;
    });
  });
}

}  // namespace

bool EventView::Parse(std::string_view bytes, EventView& view) {
  using v1::Event;
  return VisitFields(bytes, [&view](const Field& field) {
    switch (field.number) {
      case Event::kIdFieldNumber:
        view.id = field.bytes;
        break;
      case Event::kTypeFieldNumber:
        view.type = static_cast<int>(field.varint);
        break;
      case Event::kTypeNameFieldNumber:
        view.type_name = field.bytes;
        break;
      case Event::kEndpointFieldNumber:
        view.endpoint = field.bytes;
        break;
      case Event::kConnectorFieldNumber:
        return ParseConnector(field.bytes, view);
      case Event::kSyncFieldNumber:
        return ParseSync(field.bytes, view);
      case Event::kDataModifiedFieldNumber:
        return ParseDataModified(field.bytes, view);
      default:
        break;
    }
    return true;
  });
}

absl::Time ReceivedAt(std::string_view event) {
  absl::Time received_at = absl::InfiniteFuture();
  // Stops at the field, which is among the first.
  VisitFields(event, [&received_at](const Field& field) {
    if (field.number != v1::Event::kReceivedAtFieldNumber) return true;
    google::protobuf::Timestamp proto;
    if (proto.ParseFromArray(field.bytes.data(),
                             static_cast<int>(field.bytes.size()))) {
      received_at = ToTime(proto);
    }
    return false;
  });
  return received_at;
}

}  // namespace waggle
