// Events as JSON text on one line, without its end.
#ifndef WAGGLE_EVENT_EVENT_JSON_H_
#define WAGGLE_EVENT_EVENT_JSON_H_

#include <string>

#include "waggle/v1/event.pb.h"

namespace waggle {

// proto3 JSON: names in lowerCamelCase, 64-bit numbers as strings, bytes in
// base64. Of an event that has no such form, which a gateway does not send, the
// id and the sequence.
std::string EventJson(const v1::Event& event);

// A CloudEvent 1.0 in JSON, structured, as the comment of waggle.v1.Event maps
// it, with the extensions "sequence" and "traceparent". Its data is
// EventJson().
std::string CloudEventJson(const v1::Event& event);

}  // namespace waggle

#endif  // WAGGLE_EVENT_EVENT_JSON_H_
