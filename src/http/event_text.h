// A stream of events as text/event-stream (WHATWG HTML, server-sent events).
//
// Each event's "id:" is a cursor, which resumes after it. A block that has an
// id and no data is a heartbeat: it moves the client's last event id and
// dispatches nothing.
#ifndef WAGGLE_HTTP_EVENT_TEXT_H_
#define WAGGLE_HTTP_EVENT_TEXT_H_

#include <string>

#include "event/cursor.h"
#include "http/http_message.h"
#include "stream/batch.h"

namespace waggle {

// How an event's "data:" is written, in one line of JSON.
enum class EventData {
  kEvent,       // waggle.v1.Event in proto3 JSON
  kCloudEvent,  // a CloudEvent, structured
};

// What the client asks for by its Accept fields.
EventData EventDataFor(const HttpRequest& request);

// Goes before everything else: how long to wait before coming back.
std::string EventStreamStart();

// The events of a batch; a heartbeat if it has none.
std::string ToEventStream(const Batch& batch, const StoreId& store,
                          EventData data);

// Why the stream ends: an event named "error" whose data is the problem.
std::string ToEventStream(const HttpResponse& problem);

}  // namespace waggle

#endif  // WAGGLE_HTTP_EVENT_TEXT_H_
