#include "ops/visible_event.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "event/filter.h"
#include "event/redaction.h"

namespace waggle {

v1::Event VisibleEvent(const StoredEvent& event, bool personal_data,
                       bool include_payload) {
  v1::Event visible;
  if (personal_data) {
    visible.ParseFromString(event.event);
  } else {
    std::string redacted;
    if (AppendRedacted(event.event, redacted)) {
      visible.ParseFromString(redacted);
    }
  }
  if (include_payload) visible.set_payload(event.payload);
  return visible;
}

MissingRight ExcludedBy(const Rights& rights, const EventView& event) {
  const auto& allow = *rights.allow;
  const auto* descriptor = config::v1::AllowList::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    // The allow-list with this field alone.
    Rights one;
    one.allow = allow;
    for (int j = 0; j < descriptor->field_count(); ++j) {
      if (j == i) continue;
      one.allow->GetReflection()->ClearField(&*one.allow, descriptor->field(j));
    }
    if (!Filter::Compile(one.Restrict({}))->Matches(event)) {
      return {descriptor->field(i)->name(), "",
              absl::StrCat("this event is none of the ",
                           descriptor->field(i)->name(), " that you may read")};
    }
  }
  return {"events", "", "you may not read this event"};
}

}  // namespace waggle
