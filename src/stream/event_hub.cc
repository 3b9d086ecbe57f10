#include "stream/event_hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stream/filter_group.h"
#include "stream/subscription.h"

namespace waggle {
namespace {

// About what filter groups keep, all together, in bytes: each its newest batch
// at least.
constexpr size_t kKeptBytes = 16 << 20;

TailSegmentPtr MakeSegment(absl::Span<const StoredEventPtr> events) {
  auto segment = std::make_shared<TailSegment>();
  segment->entries.reserve(events.size());
  for (const StoredEventPtr& event : events) {
    TailSegment::Entry& entry = segment->entries.emplace_back();
    entry.event = event;
    EventView::Parse(event->event, entry.view);
    segment->bytes += sizeof(entry) + event->event.size() +
                      event->payload.size() +
                      entry.view.models.size() * sizeof(std::string_view);
  }
  return segment;
}

}  // namespace

EventHub::EventHub(EventStore& store, ThreadPool& readers, HubOptions options)
    : store_(store), readers_(readers), options_(options) {}

EventHub::~EventHub() {
  Stop();
  MutexLock lock(mu_);
  while (reads_ > 0) read_done_.Wait(mu_);
}

void EventHub::Start() {
  MutexLock lock(mu_);
  // Publish() waits for the lock, so the tail starts where the bounds end.
  last_ = store_
              .Start([this](absl::Span<const StoredEventPtr> events) {
                Publish(events);
              })
              .last;
  tail_after_ = last_;
  dispatcher_ = std::thread([this] { RunDispatcher(); });
}

void EventHub::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  published_or_stopping_.SignalAll();
  lingering_.SignalAll();
  if (dispatcher_.joinable()) dispatcher_.join();
  // Subscriptions that are let go here may be the last to know their group.
  decltype(parked_) parked;
  {
    MutexLock lock(mu_);
    parked.swap(parked_);
  }
}

std::shared_ptr<Subscription> EventHub::Subscribe(
    const SubscriptionOptions& options, std::function<void()> wake) {
  return std::make_shared<Subscription>(*this, Group(options), options,
                                        std::move(wake));
}

Sequence EventHub::last() const {
  MutexLock lock(mu_);
  return last_;
}

void EventHub::Publish(absl::Span<const StoredEventPtr> events) {
  if (events.empty()) return;
  TailSegmentPtr segment = MakeSegment(events);
  std::vector<TailSegmentPtr> evicted;  // let go without the lock
  {
    MutexLock lock(mu_);
    last_ = segment->last();
    tail_bytes_ += segment->bytes;
    tail_.push_back(std::move(segment));
    while (tail_bytes_ > options_.tail_bytes) {
      tail_bytes_ -= tail_.front()->bytes;
      tail_after_ = tail_.front()->last();
      evicted.push_back(std::move(tail_.front()));
      tail_.pop_front();
    }
    published_ = true;
    if (parked_.empty()) return;
  }
  published_or_stopping_.Signal();
}

void EventHub::RunDispatcher() {
  while (true) {
    decltype(parked_) due;
    {
      MutexLock lock(mu_);
      while (!stopping_ && (!published_ || parked_.empty())) {
        published_or_stopping_.Wait(mu_);
      }
      if (!stopping_ && options_.linger > absl::ZeroDuration()) {
        lingering_.WaitFor(mu_, options_.linger);
      }
      if (stopping_) return;
      published_ = false;
      due.swap(parked_);
    }
    for (const auto& [key, subscription] : due) subscription->Wake();
  }
}

std::optional<absl::Time> EventHub::StoredAfter(Sequence position) const {
  MutexLock lock(mu_);
  if (position >= last_ || position < tail_after_) return std::nullopt;
  const auto& entries = (*FirstAfter(position))->entries;
  const auto next =
      std::upper_bound(entries.begin(), entries.end(), position,
                       [](Sequence after, const TailSegment::Entry& entry) {
                         return after < entry.event->sequence;
                       });
  return next->event->stored_at;
}

std::deque<TailSegmentPtr>::const_iterator EventHub::FirstAfter(
    Sequence position) const {
  return std::upper_bound(tail_.begin(), tail_.end(), position,
                          [](Sequence after, const TailSegmentPtr& segment) {
                            return after < segment->last();
                          });
}

TailState EventHub::Collect(Sequence position, size_t enough,
                            std::vector<TailSegmentPtr>& segments,
                            Sequence& last) const {
  MutexLock lock(mu_);
  if (position >= last_) return TailState::kAtEnd;
  if (position < tail_after_) return TailState::kBehind;
  auto next = FirstAfter(position);
  // Of the first one some may be behind the position.
  size_t whole = 0;
  for (; next != tail_.end() && whole < enough; ++next) {
    if (!segments.empty()) whole += (*next)->entries.size();
    segments.push_back(*next);
  }
  last = last_;
  return TailState::kEvents;
}

bool EventHub::HoldsAfter(Sequence position) const {
  MutexLock lock(mu_);
  return position >= tail_after_;
}

bool EventHub::Park(Sequence position,
                    std::shared_ptr<Subscription> subscription) {
  MutexLock lock(mu_);
  if (last_ > position) return false;
  const Subscription* key = subscription.get();
  parked_.insert_or_assign(key, std::move(subscription));
  return true;
}

void EventHub::Unpark(const Subscription* subscription) {
  std::shared_ptr<Subscription> let_go;
  MutexLock lock(mu_);
  const auto it = parked_.find(subscription);
  if (it == parked_.end()) return;
  let_go = std::move(it->second);
  parked_.erase(it);
}

void EventHub::SubmitRead(std::shared_ptr<Subscription> subscription) {
  {
    MutexLock lock(mu_);
    ++reads_;
  }
  readers_.Submit([this, subscription = std::move(subscription)] {
    subscription->ReadPage();
    MutexLock lock(mu_);
    if (--reads_ == 0) read_done_.SignalAll();
  });
}

size_t EventHub::KeptBytesPerGroup() const {
  return kKeptBytes / std::max<size_t>(1, group_count_);
}

std::shared_ptr<FilterGroup> EventHub::Group(
    const SubscriptionOptions& options) {
  const std::string key =
      absl::StrCat(options.parts.payload ? "p" : "-",
                   options.parts.personal_data ? "d" : "-", options.max_batch,
                   "|", options.filter->key());
  MutexLock lock(groups_mu_);
  std::weak_ptr<FilterGroup>& slot = groups_[key];
  std::shared_ptr<FilterGroup> group = slot.lock();
  if (group == nullptr) {
    absl::erase_if(groups_, [&key](const auto& entry) {
      return entry.first != key && entry.second.expired();
    });
    group = std::make_shared<FilterGroup>(*this, options.filter, options.parts,
                                          options.max_batch);
    groups_[key] = group;
    group_count_ = groups_.size();
  }
  return group;
}

}  // namespace waggle
