// What DeliveryService.CheckDelivery tells, as a story for people: each event
// from its first byte to each subscriber, in order of time, and what was
// refused meanwhile.
#ifndef WAGGLE_CLI_TRACE_STORY_H_
#define WAGGLE_CLI_TRACE_STORY_H_

#include <string>

#include "waggle/v1/delivery_service.pb.h"

namespace waggle {

// Adds the next part of a story that came in parts: `part` answers the request
// that went on at story.searched_until.
void AppendPart(const v1::CheckDeliveryResponse& part,
                v1::CheckDeliveryResponse& story);

// `subject` is what was asked about, such as "sync 8f...". Nothing in the story
// can break a line or move the cursor of a terminal.
std::string ToStory(const std::string& subject,
                    const v1::CheckDeliveryResponse& story);

}  // namespace waggle

#endif  // WAGGLE_CLI_TRACE_STORY_H_
