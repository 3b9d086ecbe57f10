// AppendSequenceField: completes a serialised waggle.v1.Event with the sequence
// that a store gave it. Protocol Buffers allows a message's fields in any
// order, so the field's bytes simply come last, and what was serialised once is
// never serialised again.
#ifndef WAGGLE_STORE_SEQUENCE_FIELD_H_
#define WAGGLE_STORE_SEQUENCE_FIELD_H_

#include <cstddef>
#include <string>

#include "event/sequence.h"
#include "event/wire.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// The most bytes that AppendSequenceField appends: what to reserve beforehand.
inline constexpr size_t kMaxSequenceField = 11;

inline void AppendSequenceField(Sequence sequence, std::string& event) {
  wire::AppendVarintField(event, v1::Event::kSequenceFieldNumber,
                          sequence.value());
}

}  // namespace waggle

#endif  // WAGGLE_STORE_SEQUENCE_FIELD_H_
