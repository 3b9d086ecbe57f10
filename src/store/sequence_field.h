// AppendSequenceField: completes a serialised waggle.v1.Event with the sequence
// that a store gave it. Protocol Buffers allows a message's fields in any
// order, so the field's bytes simply come last, and what was serialised once is
// never serialised again.
#ifndef WAGGLE_STORE_SEQUENCE_FIELD_H_
#define WAGGLE_STORE_SEQUENCE_FIELD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "event/sequence.h"

namespace waggle {

// The most bytes that AppendSequenceField appends: what to reserve beforehand.
inline constexpr size_t kMaxSequenceField = 11;

inline void AppendSequenceField(Sequence sequence, std::string& event) {
  constexpr char kTag = 2 << 3;  // Event.sequence: field 2, a varint
  event.push_back(kTag);
  uint64_t rest = sequence.value();
  for (; rest >= 0x80; rest >>= 7) {
    event.push_back(static_cast<char>(rest | 0x80));
  }
  event.push_back(static_cast<char>(rest));
}

}  // namespace waggle

#endif  // WAGGLE_STORE_SEQUENCE_FIELD_H_
