#include "cli/trace_story.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "cli/text.h"
#include "event/delivery_outcome.h"
#include "event/proto_time.h"

namespace waggle {
namespace {

struct Step {
  // InfiniteFuture: it has not happened.
  absl::Time at;
  std::string text;
};

std::string Stream(const v1::Handover& handover) {
  return absl::StrCat(Printable(handover.principal()), " at ",
                      Printable(handover.remote_address()), " (stream ",
                      Printable(handover.stream_id()), ", opened ",
                      TimeText(handover.stream_started_at()), ")");
}

// The request that brought the event: first byte, last byte, verified, durable.
void AddArrival(const v1::Delivery& delivery, std::vector<Step>& steps) {
  const absl::Time read = ToTime(delivery.received_at());
  const absl::Duration reading = ToDuration(delivery.read_duration());
  steps.push_back(
      {read - reading,
       absl::StrCat("first byte from ", Printable(delivery.remote_address()))});
  steps.push_back(
      {read, absl::StrCat("read to its end: ", delivery.size_bytes(),
                          " bytes in ", ShortDuration(reading))});
  const absl::Duration verifying = ToDuration(delivery.verify_duration());
  const absl::Time verified = read + verifying;
  steps.push_back({verified, absl::StrCat("authentic: signed with key ",
                                          Printable(delivery.key_fingerprint()),
                                          "; verified and decoded in ",
                                          ShortDuration(verifying))});
  // Absent if the gateway was killed right after: it is durable all the same.
  const absl::Duration committing = ToDuration(delivery.commit_duration());
  std::string durable =
      absl::StrCat("stored durably as sequence ", delivery.sequence());
  if (delivery.has_commit_duration()) {
    absl::StrAppend(&durable, " in ", ShortDuration(committing));
  }
  absl::StrAppend(&durable, "; answered ", delivery.http_status());
  steps.push_back({verified + committing, std::move(durable)});
}

void AddDelivery(const v1::Delivery& delivery, std::vector<Step>& steps) {
  if (delivery.outcome() == v1::DELIVERY_OUTCOME_ACCEPTED) {
    AddArrival(delivery, steps);
    return;
  }
  steps.push_back({ToTime(delivery.received_at()),
                   absl::StrCat(AsAbsl(Name(delivery.outcome())),
                                ": the same body again, from ",
                                Printable(delivery.remote_address()),
                                "; answered ", delivery.http_status())});
}

void AddHandover(const v1::Handover& handover, std::vector<Step>& steps) {
  if (handover.has_handed_over_at()) {
    steps.push_back({ToTime(handover.handed_over_at()),
                     absl::StrCat("handed over to ", Stream(handover))});
  } else if (handover.has_stream_ended_at()) {
    steps.push_back(
        {ToTime(handover.stream_ended_at()),
         absl::StrCat("not handed over before its end: ", Stream(handover))});
  } else {
    steps.push_back(
        {absl::InfiniteFuture(),
         absl::StrCat("not handed over yet to ", Stream(handover))});
  }
}

// Who the event is about, as far as it says so.
std::string About(const v1::Event& event) {
  std::string text;
  if (event.has_sync()) {
    absl::StrAppend(&text, "  sync       ", Printable(event.sync().id()), "\n");
  }
  if (event.has_connector()) {
    const v1::Connector& connector = event.connector();
    absl::StrAppend(&text, "  connector  ", Printable(connector.id()),
                    ", origin ", Printable(connector.origin_id()), ", ",
                    Printable(connector.display_name()), "\n");
  }
  if (!event.traceparent().empty()) {
    absl::StrAppend(&text, "  trace      ", Printable(event.traceparent()),
                    "\n");
  }
  return text;
}

std::string EventStory(const v1::CheckedEvent& checked) {
  const v1::Event& event = checked.event();
  std::string text =
      absl::StrCat(Printable(event.type_name()), " ", Printable(event.id()),
                   ", sequence ", event.sequence(), ", endpoint ",
                   Printable(event.endpoint()), "\n", About(event));
  std::vector<Step> steps;
  for (const v1::Delivery& delivery : checked.deliveries()) {
    AddDelivery(delivery, steps);
  }
  if (checked.deliveries().empty()) {
    steps.push_back({ToTime(event.received_at()),
                     "received; the delivery log does not hold it any more"});
  }
  for (const v1::Handover& handover : checked.handovers()) {
    AddHandover(handover, steps);
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.at < b.at; });
  for (const Step& step : steps) {
    absl::StrAppendFormat(
        &text, "  %-23s  %s\n",
        step.at == absl::InfiniteFuture() ? "pending" : TimeText(step.at),
        step.text);
  }
  if (checked.handovers_truncated()) {
    absl::StrAppendFormat(&text, "  %-23s  %s\n", "-",
                          "there can be more streams than are shown");
  } else if (checked.handovers().empty()) {
    absl::StrAppendFormat(&text, "  %-23s  %s\n", "-",
                          "no stream whose filter it matches was open");
  }
  return text;
}

std::string RefusedStory(const v1::CheckDeliveryResponse& story) {
  if (story.refused().empty()) {
    return story.refused_truncated()
               ? "What was refused in that time could not be looked at; ask "
                 "about a shorter time.\n"
               : "Nothing was refused in that time.\n";
  }
  std::string text =
      "Refused in that time (whose they were is not known: what is not "
      "authentic is not looked into):\n";
  for (const v1::RefusedDeliveries& refused : story.refused()) {
    absl::StrAppendFormat(
        &text, "  %s at %s: %d recorded, first %s, last %s from %s\n",
        AsAbsl(Name(refused.outcome())), Printable(refused.endpoint()),
        refused.recorded(), TimeText(refused.first_received_at()),
        TimeText(refused.last().received_at()),
        Printable(refused.last().remote_address()));
  }
  if (story.refused_truncated()) {
    absl::StrAppend(&text,
                    "  and more: ask about a shorter time to see them all\n");
  }
  return text;
}

}  // namespace

void AppendPart(const v1::CheckDeliveryResponse& part,
                v1::CheckDeliveryResponse& story) {
  const bool first = !story.has_searched_since();
  if (first) *story.mutable_searched_since() = part.searched_since();
  *story.mutable_searched_until() = part.searched_until();
  story.set_truncated(part.truncated());
  story.set_refused_truncated(story.refused_truncated() ||
                              part.refused_truncated());
  const uint64_t last =
      story.events().empty() ? 0 : story.events().rbegin()->event().sequence();
  // What was stored at the very moment that parts the two is in both.
  for (const v1::CheckedEvent& checked : part.events()) {
    if (checked.event().sequence() > last) *story.add_events() = checked;
  }
  for (const v1::RefusedDeliveries& more : part.refused()) {
    const auto same = std::find_if(
        story.mutable_refused()->begin(), story.mutable_refused()->end(),
        [&](const v1::RefusedDeliveries& refused) {
          return refused.endpoint() == more.endpoint() &&
                 refused.outcome() == more.outcome();
        });
    if (same == story.mutable_refused()->end()) {
      *story.add_refused() = more;
    } else {
      same->set_recorded(same->recorded() + more.recorded());
      *same->mutable_last() = more.last();
    }
  }
}

std::string ToStory(const std::string& subject,
                    const v1::CheckDeliveryResponse& story) {
  std::string text = absl::StrFormat(
      "%s: %s, stored from %s to %s (UTC)\n\n", Printable(subject),
      story.events_size() == 0   ? "nothing arrived that you may see"
      : story.events_size() == 1 ? "1 event"
                                 : absl::StrCat(story.events_size(), " events"),
      TimeText(story.searched_since()), TimeText(story.searched_until()));
  for (const v1::CheckedEvent& checked : story.events()) {
    absl::StrAppend(&text, EventStory(checked), "\n");
  }
  absl::StrAppend(&text, RefusedStory(story));
  if (story.truncated()) {
    absl::StrAppend(&text, "\nThere is more: go on with --since ",
                    TimeText(story.searched_until()), "Z\n");
  }
  return text;
}

}  // namespace waggle
