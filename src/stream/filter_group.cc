#include "stream/filter_group.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace waggle {
namespace {

// The most events among which one batch looks for what matches.
constexpr size_t kMostLookedAt = 8192;

auto FirstAfter(const TailSegment& segment, Sequence position) {
  return std::upper_bound(segment.entries.begin(), segment.entries.end(),
                          position,
                          [](Sequence after, const TailSegment::Entry& entry) {
                            return after < entry.event->sequence;
                          });
}

}  // namespace

FilterGroup::FilterGroup(const EventHub& hub,
                         std::shared_ptr<const Filter> filter, EventParts parts,
                         size_t max_batch)
    : hub_(hub),
      filter_(std::move(filter)),
      parts_(parts),
      max_batch_(max_batch) {}

TailState FilterGroup::Next(Sequence position, BatchPtr& batch) {
  // Held while the batch is made, so that the others wait for it rather than
  // make it again.
  MutexLock lock(mu_);
  batch = FindKept(position);
  if (batch != nullptr) return TailState::kEvents;

  std::vector<TailSegmentPtr> segments;
  Sequence last;
  const size_t enough = filter_->matches_all() ? max_batch_ : kMostLookedAt;
  const TailState state = hub_.Collect(position, enough, segments, last);
  if (state != TailState::kEvents) return state;

  // Subscriptions come from anywhere; each is led to where the others are, so
  // that from there on they share.
  auto next = kept_.upper_bound(position);
  while (next != kept_.end() && next->second.at_end) ++next;
  const Sequence meeting = next != kept_.end() ? next->first : last;
  BatchBuilder builder(parts_, max_batch_);
  Sequence through = position;
  const auto goes_on = [&] { return !builder.full() && through < meeting; };
  for (const TailSegmentPtr& segment : segments) {
    for (auto entry = FirstAfter(*segment, position);
         entry != segment->entries.end() && goes_on(); ++entry) {
      if (Matches(entry->view)) builder.Add(*entry->event);
      through = entry->event->sequence;
    }
  }
  const bool at_end = through >= last;
  batch = builder.Finish(CursorAt(through), at_end, /*from_memory=*/true);
  if (members_ > 1) Keep(position, {batch, at_end});
  return TailState::kEvents;
}

BatchPtr FilterGroup::FindKept(Sequence position) const {
  const auto kept = kept_.find(position);
  if (kept == kept_.end()) return nullptr;
  const auto& [batch, at_end] = kept->second;
  // What was the end is made again once there is more: it says that nothing
  // follows, and few large messages cost far less than many small ones.
  return at_end && batch->through < hub_.last() ? nullptr : batch;
}

std::vector<BatchPtr> FilterGroup::BatchesOf(
    const std::vector<StoredEventPtr>& page, bool caught_up) const {
  std::vector<BatchPtr> batches;
  BatchBuilder builder(parts_, max_batch_);
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

void FilterGroup::Keep(Sequence position, KeptBatch batch) {
  kept_bytes_ += batch.batch->message.size();
  KeptBatch& place = kept_[position];
  if (place.batch != nullptr) kept_bytes_ -= place.batch->message.size();
  place = std::move(batch);
  const size_t most = hub_.KeptBytesPerGroup();
  while (kept_.size() > kKeptBatches ||
         (kept_bytes_ > most && kept_.size() > 1)) {
    kept_bytes_ -= kept_.begin()->second.batch->message.size();
    kept_.erase(kept_.begin());
  }
}

}  // namespace waggle
