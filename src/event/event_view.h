// What filters look at, read straight from the bytes of a serialised
// waggle.v1.Event. It holds views into those bytes and allocates nothing for
// ordinary events: reading is several times cheaper than parsing the message,
// which matters because a replay filters every event that the store holds.
#ifndef WAGGLE_EVENT_EVENT_VIEW_H_
#define WAGGLE_EVENT_EVENT_VIEW_H_

#include <cstdint>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"

namespace waggle {

struct EventView {
  // Numbers of waggle.v1 enums, as they stand in the bytes.
  int type = 0;
  int sync_type = 0;
  int connector_status = 0;
  std::string_view id;
  std::string_view type_name;
  std::string_view endpoint;
  std::string_view connector_id;
  std::string_view origin_id;
  std::string_view integration_slug;
  absl::InlinedVector<int, 4> categories;
  absl::InlinedVector<std::string_view, 8> models;

  // Fills `view`, which must be newly made. `bytes` must outlive it. False if
  // they are not a serialised message; bytes that this program serialised are.
  static bool Parse(std::string_view bytes, EventView& view);
};

// Event.received_at of a serialised waggle.v1.Event; InfiniteFuture if it has
// none.
absl::Time ReceivedAt(std::string_view event);

}  // namespace waggle

#endif  // WAGGLE_EVENT_EVENT_VIEW_H_
