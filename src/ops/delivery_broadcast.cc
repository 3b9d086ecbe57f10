#include "ops/delivery_broadcast.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace waggle {
namespace {

// Of one watch; more than ReadLog() is asked for.
constexpr size_t kMaxBuffered = 4096;

}  // namespace

DeliveryBroadcast::DeliveryBroadcast(DeliveryLog& log) : log_(log) {}

DeliveryBroadcast::~DeliveryBroadcast() { Stop(); }

void DeliveryBroadcast::Start() {
  log_.FollowDeliveries([this](absl::Span<const DeliveryPtr> deliveries) {
    Publish(deliveries);
  });
  dispatcher_ = std::thread([this] { RunDispatcher(); });
}

void DeliveryBroadcast::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  due_or_stopping_.SignalAll();
  if (dispatcher_.joinable()) dispatcher_.join();
}

std::shared_ptr<DeliveryWatch> DeliveryBroadcast::Watch(
    const v1::DeliveryFilter& filter, std::function<void()> wake) {
  auto watch = std::make_shared<DeliveryWatch>(*this, filter, std::move(wake));
  MutexLock lock(mu_);
  if (watches_.size() >= kMaxWatches) return nullptr;
  watches_.emplace(watch.get(), watch);
  return watch;
}

void DeliveryBroadcast::Publish(absl::Span<const DeliveryPtr> deliveries) {
  {
    MutexLock lock(mu_);
    if (watches_.empty()) return;
    for (const DeliveryPtr& delivery : deliveries) {
      for (const auto& [key, watch] : watches_) {
        watch->AssertLocked();
        watch->Offer(delivery);
      }
    }
    if (due_.empty()) return;
  }
  due_or_stopping_.Signal();
}

void DeliveryBroadcast::RunDispatcher() {
  while (true) {
    std::vector<std::shared_ptr<DeliveryWatch>> due;
    {
      MutexLock lock(mu_);
      while (due_.empty() && !stopping_) due_or_stopping_.Wait(mu_);
      if (stopping_) return;
      due.swap(due_);
    }
    for (const auto& watch : due) watch->wake_();
  }
}

DeliveryWatch::DeliveryWatch(DeliveryBroadcast& broadcast,
                             const v1::DeliveryFilter& filter,
                             std::function<void()> wake)
    : broadcast_(broadcast),
      filter_(filter),
      matcher_(filter),
      wake_(std::move(wake)) {}

void DeliveryWatch::Offer(const DeliveryPtr& delivery) {
  if (delivery->id() <= logged_through_ || !matcher_.Matches(*delivery)) {
    return;
  }
  buffer_.push_back(delivery);
  if (buffer_.size() > kMaxBuffered) {
    last_skipped_ = buffer_.front()->id();
    if (skipped_++ == 0) first_skipped_ = last_skipped_;
    buffer_.pop_front();
  }
  if (std::exchange(waiting_, false)) {
    broadcast_.due_.push_back(shared_from_this());
  }
}

absl::Status DeliveryWatch::ReadLog(size_t max,
                                    absl::FunctionRef<bool()> stop) {
  std::vector<DeliveryPtr> logged;
  uint64_t before = UINT64_MAX;
  for (int pages = 0;
       pages < kMaxLogPages && before != 0 && logged.size() < max && !stop();
       ++pages) {
    WAGGLE_ASSIGN_OR_RETURN(
        DeliveryPage page,
        broadcast_.log_.ListDeliveries(filter_, before, max - logged.size()));
    for (v1::Delivery& delivery : page.deliveries) {
      logged.push_back(
          std::make_shared<const v1::Delivery>(std::move(delivery)));
    }
    before = page.next_before;
  }
  if (logged.empty()) return absl::OkStatus();
  MutexLock lock(broadcast_.mu_);
  // Ids increase in the order of recording, so the log had all up to its
  // newest.
  logged_through_ = logged.front()->id();
  while (!buffer_.empty() && buffer_.front()->id() <= logged_through_) {
    buffer_.pop_front();
  }
  for (const DeliveryPtr& delivery : logged) {
    if (skipped_ > 0 && delivery->id() >= first_skipped_ &&
        delivery->id() <= last_skipped_) {
      --skipped_;
    }
    buffer_.push_front(delivery);
  }
  return absl::OkStatus();
}

DeliveryNews DeliveryWatch::Take(size_t max) {
  DeliveryNews news;
  MutexLock lock(broadcast_.mu_);
  const size_t count = std::min(max, buffer_.size());
  for (size_t i = 0; i < count; ++i) {
    news.deliveries.push_back(std::move(buffer_.front()));
    buffer_.pop_front();
  }
  news.skipped = std::exchange(skipped_, 0);
  waiting_ = news.empty();
  return news;
}

void DeliveryWatch::Cancel() {
  // Let go after the lock.
  std::shared_ptr<DeliveryWatch> self;
  MutexLock lock(broadcast_.mu_);
  const auto found = broadcast_.watches_.find(this);
  if (found == broadcast_.watches_.end()) return;
  self = std::move(found->second);
  broadcast_.watches_.erase(found);
}

}  // namespace waggle
