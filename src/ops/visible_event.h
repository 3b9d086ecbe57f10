// An event as its caller may see it.
#ifndef WAGGLE_OPS_VISIBLE_EVENT_H_
#define WAGGLE_OPS_VISIBLE_EVENT_H_

#include "event/event_view.h"
#include "security/rights.h"
#include "store/event_store.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// Without `personal_data` the event comes redacted; one that cannot be is left
// empty.
v1::Event VisibleEvent(const StoredEvent& event, bool personal_data,
                       bool include_payload);

// Of an event that the rights do not allow: the first field of the allow-list
// that excludes it. `rights.allow` is set.
MissingRight ExcludedBy(const Rights& rights, const EventView& event);

}  // namespace waggle

#endif  // WAGGLE_OPS_VISIBLE_EVENT_H_
