#include "stream/subscription.h"

#include <utility>
#include <vector>

#include "stream/filter_group.h"

namespace waggle {
namespace {

// A page is small, because every subscription that is behind may hold two.
constexpr size_t kPageEvents = 512;
constexpr size_t kPageBytes = 256 * 1024;
// The next page is read once fewer batches than this are at hand.
constexpr size_t kReadAheadBatches = 4;

}  // namespace

Subscription::Subscription(EventHub& hub, std::shared_ptr<FilterGroup> group,
                           const SubscriptionOptions& options,
                           std::function<void()> wake)
    : hub_(hub),
      group_(std::move(group)),
      wake_(std::move(wake)),
      stop_at_(options.stop_at),
      include_payload_(options.parts.payload),
      position_(options.after) {
  group_->Join();
}

Subscription::~Subscription() { group_->Leave(); }

Progress Subscription::Next(BatchPtr& batch) {
  while (true) {
    batch = nullptr;
    if (stop_at_.has_value() && position_ >= *stop_at_) return Progress::kEnd;
    {
      MutexLock lock(mu_);
      if (cancelled_) return Progress::kWait;
      if (!ready_.empty()) {
        batch = std::move(ready_.front());
        ready_.pop_front();
        ReadAhead();
      } else if (!read_status_.ok()) {
        status_ = read_status_;
        return Progress::kFailed;
      } else if (reading_) {
        waiting_ = true;
        return Progress::kWait;
      }
    }
    if (batch == nullptr) {
      switch (group_->Next(position_, batch)) {
        case TailState::kEvents:
          break;
        case TailState::kAtEnd:
          if (hub_.Park(position_, shared_from_this())) return Progress::kWait;
          continue;
        case TailState::kBehind: {
          MutexLock lock(mu_);
          read_through_ = position_;
          joins_tail_ = false;
          ReadAhead();
          continue;
        }
      }
    }
    position_ = batch->through;
    if (batch->events > 0) return Progress::kBatch;
  }
}

void Subscription::Cancel() {
  {
    MutexLock lock(mu_);
    cancelled_ = true;
  }
  hub_.Unpark(this);
}

void Subscription::Wake() {
  {
    MutexLock lock(mu_);
    if (cancelled_) return;
  }
  wake_();
}

void Subscription::ReadAhead() {
  if (reading_ || joins_tail_ || ready_.size() >= kReadAheadBatches ||
      cancelled_ || !read_status_.ok()) {
    return;
  }
  reading_ = true;
  hub_.SubmitRead(shared_from_this());
}

void Subscription::ReadPage() {
  PageRequest request;
  {
    MutexLock lock(mu_);
    if (cancelled_) return;
    request.after = read_through_;
  }
  request.max_events = kPageEvents;
  request.max_bytes = kPageBytes;
  request.include_payload = include_payload_;
  auto page = hub_.store_.ReadPage(request);

  std::vector<BatchPtr> batches;
  bool joins_tail = true;
  if (page.ok() && !page->empty()) {
    const Sequence through = page->back()->sequence;
    joins_tail = hub_.HoldsAfter(through);
    batches = group_->BatchesOf(*page, through >= hub_.last());
  }
  {
    MutexLock lock(mu_);
    reading_ = false;
    if (!page.ok()) {
      read_status_ = page.status();
    } else if (!page->empty()) {
      read_through_ = page->back()->sequence;
    }
    joins_tail_ = joins_tail;
    for (BatchPtr& batch : batches) ready_.push_back(std::move(batch));
    ReadAhead();
    if (!std::exchange(waiting_, false)) return;
  }
  Wake();
}

}  // namespace waggle
