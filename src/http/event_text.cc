#include "http/event_text.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "event/event_json.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

constexpr absl::string_view kCloudEvents = "application/cloudevents+json";
constexpr int kRetryMilliseconds = 1000;

// A media range with its parameters; "q=0" says that it is not wanted.
bool IsCloudEvents(absl::string_view range) {
  const std::vector<absl::string_view> parts = absl::StrSplit(range, ';');
  if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parts[0]),
                              kCloudEvents)) {
    return false;
  }
  for (absl::string_view parameter : parts) {
    parameter = absl::StripAsciiWhitespace(parameter);
    if (absl::StartsWithIgnoreCase(parameter, "q=") &&
        parameter.find_first_not_of("0.", 2) == absl::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace

EventData EventDataFor(const HttpRequest& request) {
  for (const std::string_view accept : request.HeaderValues("Accept")) {
    for (const absl::string_view range : absl::StrSplit(AsAbsl(accept), ',')) {
      if (IsCloudEvents(range)) return EventData::kCloudEvent;
    }
  }
  return EventData::kEvent;
}

std::string EventStreamStart() {
  return absl::StrCat("retry: ", kRetryMilliseconds, "\n\n");
}

std::string ToEventStream(const Batch& batch, const StoreId& store,
                          EventData data) {
  v1::SubscribeResponse response;
  response.ParseFromString(batch.message);
  std::string text;
  for (int i = 0; i < response.events_size(); ++i) {
    const v1::Event& event = response.events(i);
    // The last one's takes what was passed by behind it along.
    const bool is_last = i + 1 == response.events_size();
    const std::string cursor =
        is_last ? response.cursor()
                : Cursor{store, Sequence(event.sequence())}.Encode();
    absl::StrAppend(&text, "id: ", cursor, "\ndata: ",
                    data == EventData::kCloudEvent ? CloudEventJson(event)
                                                   : EventJson(event),
                    "\n\n");
  }
  if (text.empty()) absl::StrAppend(&text, "id: ", response.cursor(), "\n\n");
  return text;
}

std::string ToEventStream(const HttpResponse& problem) {
  return absl::StrCat("event: error\ndata: ",
                      absl::StripTrailingAsciiWhitespace(problem.body), "\n\n");
}

}  // namespace waggle
