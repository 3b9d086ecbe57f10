#include "event/redaction.h"

#include <cstddef>

#include "event/wire.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

bool IsPersonalInConnector(int field) {
  return field == v1::Connector::kEndUserNameFieldNumber ||
         field == v1::Connector::kEndUserEmailFieldNumber;
}

bool IsPersonalInSyncFailure(int field) {
  return field == v1::SyncFailure::kDetailFieldNumber;
}

bool IsPersonalInUnrecognized(int field) {
  return field == v1::Unrecognized::kDataFieldNumber;
}

// Appends a field that is a message, without those of its fields that
// `is_personal` is true for.
template <typename Predicate>
bool AppendWithout(Predicate is_personal, const wire::Field& field,
                   std::string& out) {
  if (field.type != wire::WireFormat::WIRETYPE_LENGTH_DELIMITED) return false;
  size_t size = 0;
  bool any = false;
  const auto measure = [&](const wire::Field& inner) {
    if (inner.number == 0) return false;
    if (is_personal(inner.number)) {
      any = true;
    } else {
      size += inner.whole.size();
    }
    return true;
  };
  if (!wire::VisitFields(field.bytes, measure)) return false;
  if (!any) {
    out.append(field.whole);
    return true;
  }
  wire::AppendBytesHeader(out, field.number, size);
  return wire::VisitFields(field.bytes, [&](const wire::Field& inner) {
    if (!is_personal(inner.number)) out.append(inner.whole);
    return true;
  });
}

}  // namespace

bool AppendRedacted(std::string_view event, std::string& out) {
  const size_t before = out.size();
  const bool ok = wire::VisitFields(event, [&out](const wire::Field& field) {
    switch (field.number) {
      case 0:  // which no message has
        return false;
      case v1::Event::kConnectorFieldNumber:
        return AppendWithout(IsPersonalInConnector, field, out);
      case v1::Event::kSyncFailureFieldNumber:
        return AppendWithout(IsPersonalInSyncFailure, field, out);
      case v1::Event::kUnrecognizedFieldNumber:
        return AppendWithout(IsPersonalInUnrecognized, field, out);
      default:
        out.append(field.whole);
        return true;
    }
  });
  if (!ok) out.resize(before);
  return ok;
}

}  // namespace waggle
