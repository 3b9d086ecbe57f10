// Events without personal data, for callers who may not see it.
//
//   std::string redacted;
//   if (!AppendRedacted(event.event, redacted)) return;  // nothing to send
#ifndef WAGGLE_EVENT_REDACTION_H_
#define WAGGLE_EVENT_REDACTION_H_

#include <string>
#include <string_view>

namespace waggle {

// Appends a serialised waggle.v1.Event without
//   connector.end_user_name and end_user_email: who linked the system;
//   sync_failure.detail and unrecognized.data: their shape is unknown, so they
//   may hold anything.
// All else stays as it is, byte by byte and in its order.
//
// `event` is as a store keeps it, without the payload: a payload holds personal
// data wherever it pleases, so it cannot be redacted, only left out.
//
// False, with `out` as it was, if the bytes are malformed where it matters:
// what cannot be read cannot be vouched for.
bool AppendRedacted(std::string_view event, std::string& out);

}  // namespace waggle

#endif  // WAGGLE_EVENT_REDACTION_H_
