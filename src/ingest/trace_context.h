// Which trace a webhook belongs to: the field "traceparent" of the W3C Trace
// Context, level 1 (https://www.w3.org/TR/trace-context-1/).
//
//   event.set_traceparent(TraceparentOf(request.HeaderValues("traceparent")));
//   Log(..., {"trace", TraceIdOf(event.traceparent())});
//
// The gateway records no spans of its own, so it hands on what came. Pure, but
// for the ids that it makes.
#ifndef WAGGLE_INGEST_TRACE_CONTEXT_H_
#define WAGGLE_INGEST_TRACE_CONTEXT_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace waggle {

// `value` as it is, if it is a valid traceparent of version 00. Of a later
// version that begins as 00 does, which is all that is known of it, what it
// means in 00. Otherwise nothing.
std::optional<std::string> ParseTraceparent(std::string_view value);

// That of the one field in `values`; a new one, with ids by chance, if there is
// none, if there are several, or if it is not valid. New ones are marked as
// sampled, since consumers that follow their parent would otherwise record
// nothing of any event.
std::string TraceparentOf(absl::Span<const std::string_view> values);

// The trace's id in a valid traceparent; empty if there is none.
std::string_view TraceIdOf(std::string_view traceparent);

}  // namespace waggle

#endif  // WAGGLE_INGEST_TRACE_CONTEXT_H_
