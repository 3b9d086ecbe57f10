// The types of events by the names that Bindbee gives them.
#ifndef WAGGLE_EVENT_EVENT_TYPES_H_
#define WAGGLE_EVENT_EVENT_TYPES_H_

#include <string_view>

#include "absl/types/span.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// An event that Bindbee documents, and `webhook.event` as Bindbee writes it.
struct EventTypeName {
  v1::EventType type;
  std::string_view name;
};

// All of them. Names live as long as the program.
absl::Span<const EventTypeName> EventTypeNames();

}  // namespace waggle

#endif  // WAGGLE_EVENT_EVENT_TYPES_H_
