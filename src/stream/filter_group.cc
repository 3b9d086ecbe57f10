#include "stream/filter_group.h"

#include <algorithm>
#include <vector>

namespace waggle {

FilterGroup::FilterGroup(const EventHub& hub,
                         std::shared_ptr<const Filter> filter,
                         bool include_payload, size_t max_batch)
    : hub_(hub),
      filter_(std::move(filter)),
      include_payload_(include_payload),
      max_batch_(max_batch) {}

TailState FilterGroup::Next(Sequence position, BatchPtr& batch) {
  // Held while the batch is made, so that the others wait for it rather than
  // make it again.
  MutexLock lock(mu_);
  const auto kept = std::find_if(
      kept_.rbegin(), kept_.rend(),
      [position](const auto& entry) { return entry.first == position; });
  if (kept != kept_.rend()) {
    batch = kept->second;
    return TailState::kEvents;
  }

  std::vector<TailSegmentPtr> segments;
  Sequence last;
  const TailState state = hub_.Collect(position, segments, last);
  if (state != TailState::kEvents) return state;

  BatchBuilder builder(include_payload_, max_batch_);
  Sequence through = position;
  for (const TailSegmentPtr& segment : segments) {
    for (const TailSegment::Entry& entry : segment->entries) {
      if (entry.event->sequence <= position) continue;
      if (builder.full()) break;
      if (Matches(entry.view)) builder.Add(*entry.event);
      through = entry.event->sequence;
    }
  }
  batch = builder.Finish(CursorAt(through), through >= last);
  if (members_ > 1) Keep(position, batch);
  return TailState::kEvents;
}

std::vector<BatchPtr> FilterGroup::BatchesOf(
    const std::vector<StoredEventPtr>& page, bool caught_up) const {
  std::vector<BatchPtr> batches;
  BatchBuilder builder(include_payload_, max_batch_);
  for (size_t i = 0; i < page.size(); ++i) {
    const StoredEvent& event = *page[i];
    EventView view;
    if (filter_->matches_all() ||
        (EventView::Parse(event.event, view) && filter_->Matches(view))) {
      builder.Add(event);
    }
    const bool is_last = i + 1 == page.size();
    if (builder.full() || is_last) {
      batches.push_back(
          builder.Finish(CursorAt(event.sequence), is_last && caught_up));
    }
  }
  return batches;
}

void FilterGroup::Keep(Sequence position, const BatchPtr& batch) {
  kept_.emplace_back(position, batch);
  kept_bytes_ += batch->message.size();
  while (kept_bytes_ > kKeptBytes || kept_.size() > kKeptBatches) {
    kept_bytes_ -= kept_.front().second->message.size();
    kept_.pop_front();
  }
}

}  // namespace waggle
