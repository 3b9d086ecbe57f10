#include "store/memory/memory_event_store.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include "event/proto_time.h"
#include "store/sequence_field.h"
#include "store/uuid.h"

namespace waggle {
namespace {

constexpr size_t kMaxGroup = 64;
constexpr size_t kMaxWaitingRecords = 8192;

StoreId RandomStoreId() {
  StoreId id;
  std::random_device random;
  std::generate(id.begin(), id.end(),
                [&] { return static_cast<uint8_t>(random()); });
  return id;
}

absl::Time ToMicros(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

uint64_t Size(const StoredEvent& event) {
  return event.event.size() + event.payload.size();
}

StoredEventPtr WithoutPayload(const StoredEvent& event) {
  auto copy = std::make_shared<StoredEvent>();
  copy->sequence = event.sequence;
  copy->stored_at = event.stored_at;
  copy->event = event.event;
  return copy;
}

}  // namespace

MemoryEventStore::MemoryEventStore(const Clock& clock)
    : clock_(clock),
      id_(RandomStoreId()),
      committer_([this] { RunCommitter(); }) {}

MemoryEventStore::~MemoryEventStore() { Close(); }

StoreBounds MemoryEventStore::Start(Tail tail) {
  tail_ = std::move(tail);
  return Bounds();
}

void MemoryEventStore::Append(NewEvent event, AppendDone done) {
  absl::Status refusal;
  if (!PackUuid(event.id)) {
    refusal = absl::InvalidArgumentError("the event's id is not a UUID");
  } else {
    MutexLock lock(mu_);
    refusal =
        closing_ ? absl::UnavailableError("the store is closing") : failure_;
    if (refusal.ok()) {
      queue_.push_back({std::move(event), std::move(done), clock_.Now()});
      work_.SignalAll();
      return;
    }
  }
  done(std::move(refusal));
}

absl::StatusOr<std::vector<StoredEventPtr>> MemoryEventStore::ReadPage(
    const PageRequest& request) {
  MutexLock lock(mu_);
  if (request.after < trimmed_through_) {
    return absl::OutOfRangeError("events after this position were removed");
  }
  std::vector<StoredEventPtr> page;
  uint64_t bytes = 0;
  const auto first = std::partition_point(
      rows_.begin(), rows_.end(),
      [&](const Row& row) { return row.event->sequence <= request.after; });
  for (auto row = first;
       row != rows_.end() && row->event->sequence <= request.through &&
       page.size() < request.max_events && bytes <= request.max_bytes;
       ++row) {
    page.push_back(request.include_payload ? row->event
                                           : WithoutPayload(*row->event));
    bytes += Size(*page.back());
  }
  return page;
}

absl::StatusOr<StoredEventPtr> MemoryEventStore::ReadById(
    std::string_view id, bool include_payload) {
  MutexLock lock(mu_);
  const auto found = by_id_.find(std::string(id));
  if (found == by_id_.end()) {
    return absl::NotFoundError("no event with this id is retained");
  }
  const StoredEventPtr& event =
      rows_[found->second.value() - trimmed_through_.value() - 1].event;
  return include_payload ? event : WithoutPayload(*event);
}

absl::StatusOr<Sequence> MemoryEventStore::PositionBefore(absl::Time time) {
  MutexLock lock(mu_);
  const auto first = std::partition_point(
      rows_.begin(), rows_.end(),
      [&](const Row& row) { return row.event->stored_at < time; });
  if (first == rows_.begin()) return trimmed_through_;
  return std::prev(first)->event->sequence;
}

StoreBounds MemoryEventStore::Bounds() const {
  MutexLock lock(mu_);
  StoreBounds bounds;
  bounds.trimmed_through = trimmed_through_;
  bounds.last = last_;
  if (!rows_.empty()) bounds.oldest_stored_at = rows_.front().event->stored_at;
  bounds.size_bytes = size_bytes_;
  return bounds;
}

absl::Status MemoryEventStore::Writable() const {
  MutexLock lock(mu_);
  return closing_ ? absl::UnavailableError("the store is closing") : failure_;
}

absl::Status MemoryEventStore::Trim(const RetentionLimits& limits) {
  MutexLock lock(mu_);
  const absl::Time oldest = clock_.Now() - limits.max_age;
  const auto is_due = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return rows_.front().event->stored_at < oldest ||
           (limits.max_bytes > 0 && size_bytes_ > limits.max_bytes);
  };
  while (!rows_.empty() && is_due()) RemoveOldest();
  return absl::OkStatus();
}

void MemoryEventStore::RemoveOldest() {
  const Row& row = rows_.front();
  by_id_.erase(row.id);
  if (!row.retained_digest.empty()) retained_.erase(row.retained_digest);
  size_bytes_ -= Size(*row.event);
  trimmed_through_ = row.event->sequence;
  rows_.pop_front();
}

void MemoryEventStore::Close() {
  {
    MutexLock lock(mu_);
    closing_ = true;
    paused_ = false;
    work_.SignalAll();
  }
  if (committer_.joinable()) committer_.join();
}

void MemoryEventStore::PauseCommits() {
  MutexLock lock(mu_);
  paused_ = !closing_;
}

void MemoryEventStore::ResumeCommits() {
  MutexLock lock(mu_);
  paused_ = false;
  work_.SignalAll();
}

void MemoryEventStore::FailWith(absl::Status status) {
  MutexLock lock(mu_);
  failure_ = std::move(status);
}

void MemoryEventStore::FollowDeliveries(DeliveryTail tail) {
  delivery_tail_ = std::move(tail);
}

bool MemoryEventStore::Record(v1::Delivery refused) {
  std::vector<LogRecord> records;
  records.emplace_back(std::move(refused));
  return Enqueue(std::move(records));
}

bool MemoryEventStore::RecordStream(StreamRecord stream) {
  std::vector<LogRecord> records;
  records.emplace_back(std::move(stream));
  return Enqueue(std::move(records));
}

bool MemoryEventStore::RecordProgress(std::vector<StreamProgress> progress) {
  return Enqueue(
      std::vector<LogRecord>(std::make_move_iterator(progress.begin()),
                             std::make_move_iterator(progress.end())));
}

// All or none.
bool MemoryEventStore::Enqueue(std::vector<LogRecord> records) {
  MutexLock lock(mu_);
  if (closing_ || log_queue_.size() + records.size() > kMaxWaitingRecords) {
    return false;
  }
  std::move(records.begin(), records.end(), std::back_inserter(log_queue_));
  work_.SignalAll();
  return true;
}

absl::StatusOr<DeliveryPage> MemoryEventStore::ListDeliveries(
    const v1::DeliveryFilter& filter, uint64_t before, size_t max) {
  MutexLock lock(mu_);
  return deliveries_.List(filter, before, max);
}

absl::StatusOr<v1::Delivery> MemoryEventStore::ReadDelivery(uint64_t id) {
  MutexLock lock(mu_);
  return deliveries_.Read(id);
}

absl::StatusOr<std::vector<v1::Delivery>> MemoryEventStore::DeliveriesOf(
    Sequence sequence, size_t max) {
  MutexLock lock(mu_);
  return deliveries_.Of(sequence, max);
}

absl::StatusOr<std::vector<StreamHandover>> MemoryEventStore::Handovers(
    Sequence sequence, absl::Time since, absl::Time until, size_t max) {
  MutexLock lock(mu_);
  return deliveries_.Handovers(sequence, since, until, max);
}

absl::Status MemoryEventStore::TrimDeliveries(const DeliveryRetention& limits) {
  MutexLock lock(mu_);
  deliveries_.Trim(limits, clock_.Now());
  return absl::OkStatus();
}

void MemoryEventStore::RunCommitter() {
  while (true) {
    Work work = TakeWork();
    if (work.group.empty() && work.log.empty()) return;
    Commit(std::move(work));
  }
}

// Empty once the store is closing and nothing waits.
MemoryEventStore::Work MemoryEventStore::TakeWork() {
  MutexLock lock(mu_);
  while (paused_ || (queue_.empty() && log_queue_.empty() && !closing_)) {
    work_.Wait(mu_);
  }
  Work work;
  const auto end = queue_.begin() + std::min(queue_.size(), kMaxGroup);
  work.group.assign(std::make_move_iterator(queue_.begin()),
                    std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  work.log.swap(log_queue_);
  return work;
}

void MemoryEventStore::Commit(Work work) {
  std::vector<StoredEventPtr> stored;
  std::vector<Appended> answers;
  std::vector<DeliveryPtr> deliveries;
  {
    MutexLock lock(mu_);
    const absl::Time now = clock_.Now();
    for (Pending& pending : work.group) {
      const std::shared_ptr<v1::Delivery> delivery =
          std::move(pending.event.delivery);
      answers.push_back(Store(std::move(pending.event), stored));
      if (delivery == nullptr) continue;
      const Appended& appended = answers.back();
      delivery->set_outcome(appended.duplicate ? v1::DELIVERY_OUTCOME_DUPLICATE
                                               : v1::DELIVERY_OUTCOME_ACCEPTED);
      delivery->set_event_id(appended.id);
      delivery->set_sequence(appended.sequence.value());
      *delivery->mutable_commit_duration() = ToProto(now - pending.appended_at);
      deliveries_.Add(*delivery, now);
      deliveries.push_back(delivery);
    }
    for (LogRecord& record : work.log) {
      if (auto* delivery = std::get_if<v1::Delivery>(&record)) {
        deliveries_.Add(*delivery, now);
        deliveries.push_back(
            std::make_shared<const v1::Delivery>(std::move(*delivery)));
      } else if (auto* stream = std::get_if<StreamRecord>(&record)) {
        deliveries_.Add(std::move(*stream));
      } else {
        deliveries_.Add(std::get<StreamProgress>(std::move(record)));
      }
    }
  }
  if (tail_ && !stored.empty()) tail_(stored);
  if (delivery_tail_ && !deliveries.empty()) delivery_tail_(deliveries);
  for (size_t i = 0; i < work.group.size(); ++i) {
    work.group[i].done(std::move(answers[i]));
  }
}

Appended MemoryEventStore::Store(NewEvent event,
                                 std::vector<StoredEventPtr>& stored) {
  event.received_at = ToMicros(event.received_at);
  if (const Identity* first = FindFirst(event)) {
    return {first->sequence, first->id, /*duplicate=*/true};
  }
  last_ = last_.Next();
  last_stored_at_ = std::max(last_stored_at_, ToMicros(clock_.Now()));
  auto& identities =
      event.identity.window == absl::InfiniteDuration() ? retained_ : windowed_;
  identities[event.identity.digest] = {last_, event.id, event.received_at};
  by_id_[event.id] = last_;

  auto row = std::make_shared<StoredEvent>();
  row->sequence = last_;
  row->stored_at = last_stored_at_;
  row->event = std::move(event.event);
  AppendSequenceField(last_, row->event);
  row->payload = std::move(event.payload);
  size_bytes_ += Size(*row);
  stored.push_back(row);
  rows_.push_back({std::move(row), event.id,
                   &identities == &retained_ ? event.identity.digest : ""});
  return {last_, std::move(event.id), /*duplicate=*/false};
}

const MemoryEventStore::Identity* MemoryEventStore::FindFirst(
    const NewEvent& event) const {
  const DeliveryIdentity& identity = event.identity;
  if (identity.window == absl::InfiniteDuration()) {
    const auto found = retained_.find(identity.digest);
    return found == retained_.end() ? nullptr : &found->second;
  }
  const auto found = windowed_.find(identity.digest);
  if (found == windowed_.end()) return nullptr;
  const absl::Duration apart =
      absl::AbsDuration(event.received_at - found->second.received_at);
  return apart < identity.window ? &found->second : nullptr;
}

}  // namespace waggle
