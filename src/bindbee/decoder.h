// Turns the body of an authentic webhook into a typed event.
//
//   v1::Event event = Decode(body);
//
// Never fails: whatever was signed is kept. What this edition does not know
// stays as open as event.proto describes: the strings stand beside the enums,
// unknown events and unknown shapes of `data` become Event.unrecognized, and
// what could not be read at all leaves an event that says so in
// Unrecognized.problem. A problem names members of the documented shapes and
// never quotes the body, so it may be shown and logged.
//
// Both the shapes of today and the older ones are read ("hook" for "webhook";
// no sync, integration_slug or connector_status). Beyond the letter of JSON:
//  - A member that is null, or of a type that its documentation does not allow,
//    counts as absent. Only `data` of a known event must be right: ids are
//    never dropped in silence, the event is unrecognized instead.
//  - Of several members with one name the last counts, as in most parsers. A
//    model that `data` names twice is kept twice.
//  - A byte order mark is skipped, integers beyond 64 bits are read as floating
//    point, and an escaped lone surrogate is read as U+FFFD, since strings are
//    UTF-8. A body that is not UTF-8 is not JSON.
//
// Pure functions, thread-safe. Each calling thread keeps a parser of some 300
// KiB; larger bodies get one for the call.
#ifndef WAGGLE_BINDBEE_DECODER_H_
#define WAGGLE_BINDBEE_DECODER_H_

#include <cstddef>
#include <string_view>

#include "waggle/v1/event.pb.h"

namespace waggle {

// The limits of what becomes a google.protobuf.Struct; beyond them it is left
// out. Protobuf's parsers stop at 100 nested messages, and each level of JSON
// costs up to 3.
inline constexpr int kMaxStructLevels = 24;
inline constexpr size_t kMaxStructBytes = 256 << 10;

// The most that a decoded event takes, serialised. Together with a payload of
// the usual limit it stays below the 4 MiB that gRPC clients accept. An event
// beyond it is unrecognized; one that is so even without its data keeps its
// type alone.
inline constexpr size_t kMaxEventBytes = 3 << 19;

// The event without what the body does not tell: id, sequence, endpoint,
// received_at and payload.
v1::Event Decode(std::string_view body);

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_DECODER_H_
