// Random sequences of operations over each delivery log, beside a model that is
// as simple as can be: a list of what the log told of.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "event/proto_time.h"
#include "gtest/gtest.h"
#include "rapidcheck.h"
#include "tests/contract/event_store_contract.h"
#include "tests/contract/random_trials.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/test_events.h"
#include "tests/fakes/wait_for.h"

namespace waggle {
namespace {

// The most deliveries that a store may remove together.
constexpr size_t kMaxTogether = 64;

bool IsStored(const v1::Delivery& delivery) { return delivery.sequence() != 0; }

class Trial {
 public:
  explicit Trial(const StoreUnderTest& kind)
      : durable_(kind.durable), data_(kind.make()) {
    Open();
  }
  ~Trial() { store_.events->Close(); }

  void Do(int operation, uint8_t a, uint8_t b) {
    switch (operation % 12) {
      case 0:
      case 1:
      case 2:
        return AppendGroup(1 + a % 50, b);
      case 3:
        return Record(1 + a % 3);
      case 4:
        return clock_.Advance(absl::Seconds(a * 4));
      case 5:
        return List(a, b);
      case 6:
        return FindOfEvent(a);
      case 7:
        return Read(a);
      case 8:
        return TrimByAge(absl::Seconds(a * 16));
      case 9:
        return TrimByNumber(a, b);
      case 10:
        RC_ASSERT(store_.events->Trim({.max_age = absl::Seconds(a * 8)}).ok());
        return;
      case 11:
        if (durable_) Reopen();
    }
  }

  void CheckAll() {
    CheckPages({}, 7);
    for (uint64_t sequence = 0; sequence <= last_; ++sequence) {
      CheckOfEvent(sequence);
    }
  }

 private:
  struct Row {
    v1::Delivery delivery;
    absl::Time recorded_at;
  };

  void Open() {
    store_ = data_->Open(clock_);
    store_.events->Start({});
    store_.deliveries->FollowDeliveries(
        [this](absl::Span<const DeliveryPtr> deliveries) {
          MutexLock lock(mu_);
          for (const DeliveryPtr& delivery : deliveries) {
            told_.push_back(*delivery);
          }
        });
  }

  void Reopen() {
    store_.events->Close();
    store_ = {};
    Open();
  }

  // What an operation recorded, which it has been told of.
  void TakeTold(size_t count) {
    std::vector<v1::Delivery> told;
    testing::WaitFor([&] {
      MutexLock lock(mu_);
      if (told_.size() < count) return false;
      told = std::exchange(told_, {});
      return true;
    });
    RC_ASSERT(told.size() == count);
    for (v1::Delivery& delivery : told) {
      // In parentheses of its own: RC_ASSERT would evaluate both sides.
      RC_ASSERT((rows_.empty() || delivery.id() > rows_.back().delivery.id()));
      last_ = std::max(last_, delivery.sequence());
      rows_.push_back({std::move(delivery), clock_.Now()});
    }
  }

  v1::Delivery Arrived(int choice) {
    v1::Delivery delivery;
    *delivery.mutable_received_at() = ToProto(clock_.Now());
    delivery.set_endpoint(absl::StrCat("endpoint ", choice % 2));
    delivery.set_connector_id(absl::StrCat("connector ", choice % 3));
    return delivery;
  }

  // Some are duplicates, and some have no delivery.
  void AppendGroup(int count, uint8_t choice) {
    std::vector<NewEvent> events;
    size_t deliveries = 0;
    for (int i = 0; i < count; ++i) {
      NewEvent event = NumberedEvent(next_++);
      event.received_at = clock_.Now();
      event.identity.window = absl::Minutes(10);
      event.identity.digest =
          absl::StrCat("digest ", (choice + i) % 5 == 0 ? 0 : next_);
      if ((choice + i) % 7 != 0) {
        ++deliveries;
        event.delivery = std::make_shared<v1::Delivery>(Arrived(choice + i));
      }
      events.push_back(std::move(event));
    }
    for (const auto& answer : AppendAll(*store_.events, std::move(events))) {
      RC_ASSERT(answer.ok());
    }
    TakeTold(deliveries);
  }

  void Record(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      v1::Delivery refused = Arrived(static_cast<int>(i));
      refused.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
      RC_ASSERT(store_.deliveries->Record(std::move(refused)));
    }
    TakeTold(count);
  }

  uint64_t AnyId(uint8_t a) const {
    return rows_.empty() ? a : rows_[a % rows_.size()].delivery.id() + a % 2;
  }

  void List(uint8_t a, uint8_t b) {
    v1::DeliveryFilter filter;
    if (a % 2 == 0) filter.add_endpoints("endpoint 1");
    if (a % 3 == 0) filter.add_connector_ids("connector 2");
    if (a % 5 == 0) {
      filter.add_outcomes(static_cast<v1::DeliveryOutcome>(1 + a % 3));
    }
    if (a % 7 == 0 && !rows_.empty()) {
      for (const uint64_t id : {AnyId(a), AnyId(b)}) {
        const auto row = std::find_if(rows_.begin(), rows_.end(),
                                      [id](const Row& candidate) {
                                        return candidate.delivery.id() >= id &&
                                               IsStored(candidate.delivery);
                                      });
        if (row != rows_.end()) {
          filter.add_event_ids(row->delivery.event_id());
        }
      }
    }
    if (b % 3 == 0) filter.set_after_id(AnyId(b));
    if (b % 5 == 0) {
      *filter.mutable_since() = ToProto(clock_.Now() - absl::Seconds(b * 16));
    }
    if (b % 7 == 0) {
      *filter.mutable_until() = ToProto(clock_.Now() - absl::Seconds(b * 4));
    }
    CheckPages(filter, 1 + a % 20);
  }

  static bool Matches(const v1::DeliveryFilter& filter,
                      const v1::Delivery& delivery) {
    const auto allows = [](const auto& values, const auto& value) {
      return values.empty() ||
             std::find(values.begin(), values.end(), value) != values.end();
    };
    const absl::Time received_at = ToTime(delivery.received_at());
    return allows(filter.endpoints(), delivery.endpoint()) &&
           allows(filter.connector_ids(), delivery.connector_id()) &&
           allows(filter.outcomes(), delivery.outcome()) &&
           allows(filter.event_ids(), delivery.event_id()) &&
           delivery.id() > filter.after_id() &&
           (!filter.has_since() || received_at >= ToTime(filter.since())) &&
           (!filter.has_until() || received_at < ToTime(filter.until()));
  }

  static void CheckSame(const v1::Delivery& found,
                        const v1::Delivery& expected) {
    RC_ASSERT(found.SerializeAsString() == expected.SerializeAsString());
  }

  void CheckPages(const v1::DeliveryFilter& filter, size_t max) {
    std::vector<v1::Delivery> found;
    for (uint64_t before = UINT64_MAX; before != 0;) {
      const auto page = store_.deliveries->ListDeliveries(filter, before, max);
      RC_ASSERT(page.ok());
      RC_ASSERT(page->deliveries.size() <= max);
      RC_ASSERT(page->next_before < before);
      found.insert(found.end(), page->deliveries.begin(),
                   page->deliveries.end());
      before = page->next_before;
    }
    size_t i = 0;
    for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
      if (!Matches(filter, row->delivery)) continue;
      RC_ASSERT(i < found.size());
      CheckSame(found[i++], row->delivery);
    }
    RC_ASSERT(i == found.size());
  }

  void FindOfEvent(uint8_t a) { CheckOfEvent(last_ * a / 255); }

  void CheckOfEvent(uint64_t sequence) {
    constexpr size_t kMax = 3;
    const auto found =
        store_.deliveries->DeliveriesOf(Sequence(sequence), kMax);
    RC_ASSERT(found.ok());
    size_t i = 0;
    for (const Row& row : rows_) {
      if (i == kMax || sequence == 0) break;
      if (row.delivery.sequence() != sequence) continue;
      RC_ASSERT(i < found->size());
      CheckSame((*found)[i++], row.delivery);
    }
    RC_ASSERT(i == found->size());
  }

  void Read(uint8_t a) {
    const uint64_t id = AnyId(a);
    const auto found = store_.deliveries->ReadDelivery(id);
    const auto row = std::find_if(
        rows_.begin(), rows_.end(),
        [id](const Row& candidate) { return candidate.delivery.id() == id; });
    if (row == rows_.end()) {
      RC_ASSERT(absl::IsNotFound(found.status()));
      return;
    }
    RC_ASSERT(found.ok());
    CheckSame(*found, row->delivery);
  }

  void TrimByAge(absl::Duration age) {
    RC_ASSERT(store_.deliveries->TrimDeliveries({.max_age = age}).ok());
    std::erase_if(rows_, [&](const Row& row) {
      return row.recorded_at < clock_.Now() - age;
    });
  }

  size_t Count(bool stored) const {
    return static_cast<size_t>(std::count_if(
        rows_.begin(), rows_.end(),
        [stored](const Row& row) { return IsStored(row.delivery) == stored; }));
  }

  void RemoveOldest(bool stored, size_t count) {
    std::erase_if(rows_, [&](const Row& row) {
      if (count == 0 || IsStored(row.delivery) != stored) return false;
      --count;
      return true;
    });
  }

  // How many go together is the store's business, as long as they are the
  // oldest.
  void TrimByNumber(uint8_t a, uint8_t b) {
    const size_t stored = Count(true);
    const size_t refused = Count(false);
    const size_t max_stored = (stored + 1) * (128 + a / 2) / 255;
    const size_t max_refused = (refused + 1) * (128 + b / 2) / 255;
    RC_ASSERT(store_.deliveries
                  ->TrimDeliveries({.max_records = max_stored,
                                    .max_refused_records = max_refused})
                  .ok());
    RemoveOldest(false, refused - std::min(refused, max_refused));
    const auto page =
        store_.deliveries->ListDeliveries({}, UINT64_MAX, 1'000'000);
    RC_ASSERT(page.ok());
    const auto left = static_cast<size_t>(std::count_if(
        page->deliveries.begin(), page->deliveries.end(), IsStored));
    if (stored <= max_stored) {
      RC_ASSERT(left == stored);
    } else {
      RC_ASSERT(left <= max_stored);
      RC_ASSERT(left + kMaxTogether > max_stored);
    }
    RemoveOldest(true, stored - left);
  }

  const bool durable_;
  FakeClock clock_;
  mutable Mutex mu_;
  std::vector<v1::Delivery> told_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<StoreData> data_;
  OpenStore store_;
  std::vector<Row> rows_;
  uint64_t last_ = 0;  // sequence
  uint64_t next_ = 1;
};

// The journal of streams: one store beside the one in memory, whose answers are
// found by looking at everything.
class JournalTrial {
 public:
  explicit JournalTrial(const StoreUnderTest& kind) : data_(kind.make()) {
    for (OpenStore* store : {&store_, &reference_}) {
      store->events->Start({});
      store->deliveries->FollowDeliveries(
          [this](absl::Span<const DeliveryPtr> deliveries) {
            told_ += deliveries.size();
          });
    }
  }
  ~JournalTrial() {
    for (OpenStore* store : {&store_, &reference_}) store->events->Close();
  }

  void Do(int operation, uint8_t a, uint8_t b) {
    switch (operation % 8) {
      case 0:
        return Begin(a);
      case 1:
      case 2:
      case 3:
        return Progress(a, b);
      case 4:
        return End(a);
      case 5:
        return clock_.Advance(absl::Seconds(a));
      case 6:
        return Trim(a, b);
      case 7:
        Flush();
        return Check(a, b);
    }
  }

  void CheckAll() {
    Flush();
    for (int sequence = 0; sequence < 256; sequence += 5) {
      Check(static_cast<uint8_t>(sequence), 255);
    }
  }

 private:
  struct Stream {
    StreamRecord record;
    uint64_t through;
  };

  void Record(const StreamRecord& stream) {
    for (OpenStore* store : {&store_, &reference_}) {
      RC_ASSERT(store->deliveries->RecordStream(stream));
    }
  }

  void Begin(uint8_t a) {
    StreamRecord stream{.stream_id = EventId(++streams_),
                        .principal = absl::StrCat("principal ", a % 3),
                        .filters = std::string(a, 'f'),
                        .after = Sequence(a),
                        .started_at = clock_.Now()};
    Record(stream);
    open_.push_back({std::move(stream), a});
  }

  void Progress(uint8_t a, uint8_t b) {
    if (open_.empty()) return;
    Stream& stream = open_[a % open_.size()];
    stream.through = std::min<uint64_t>(255, stream.through + b % 16);
    for (OpenStore* store : {&store_, &reference_}) {
      RC_ASSERT(store->deliveries->RecordProgress(
          {{stream.record.stream_id, Sequence(stream.through), clock_.Now()}}));
    }
  }

  void End(uint8_t a) {
    if (open_.empty()) return;
    const auto stream = open_.begin() + a % static_cast<int>(open_.size());
    stream->record.ended_at = clock_.Now();
    Record(stream->record);
    open_.erase(stream);
  }

  // Whatever was recorded before is in the journals then.
  void Flush() {
    const size_t told = told_;
    for (OpenStore* store : {&store_, &reference_}) {
      RC_ASSERT(store->deliveries->Record(v1::Delivery()));
    }
    testing::WaitFor([&] { return told_ == told + 2; });
  }

  void Trim(uint8_t a, uint8_t b) {
    Flush();
    DeliveryRetention limits;
    if (a % 2 == 0) limits.max_age = absl::Seconds(a * 4);
    if (a % 3 == 0) limits.max_progress = b % 32;
    for (OpenStore* store : {&store_, &reference_}) {
      RC_ASSERT(store->deliveries->TrimDeliveries(limits).ok());
    }
  }

  void Check(uint8_t a, uint8_t b) {
    const absl::Time since = clock_.Now() - absl::Seconds(b * 2);
    const absl::Time until = since + absl::Seconds(b % 2 == 0 ? a : 10'000);
    const size_t max = 1 + a % 8;
    const auto found =
        store_.deliveries->Handovers(Sequence(a), since, until, max);
    const auto expected =
        reference_.deliveries->Handovers(Sequence(a), since, until, max);
    RC_ASSERT(found.ok());
    RC_ASSERT(expected.ok());
    RC_ASSERT(found->size() == expected->size());
    for (size_t i = 0; i < found->size(); ++i) {
      const StreamHandover& one = (*found)[i];
      const StreamHandover& other = (*expected)[i];
      RC_ASSERT(one.handed_over_at == other.handed_over_at);
      RC_ASSERT(one.stream.stream_id == other.stream.stream_id);
      RC_ASSERT(one.stream.principal == other.stream.principal);
      RC_ASSERT(one.stream.filters == other.stream.filters);
      RC_ASSERT(one.stream.after == other.stream.after);
      RC_ASSERT(one.stream.started_at == other.stream.started_at);
      RC_ASSERT(one.stream.ended_at == other.stream.ended_at);
    }
  }

  FakeClock clock_;
  std::atomic<size_t> told_ = 0;
  std::unique_ptr<StoreData> data_;
  OpenStore store_ = data_->Open(clock_);
  std::unique_ptr<StoreData> reference_data_ = StoresUnderTest().front().make();
  OpenStore reference_ = reference_data_->Open(clock_);
  std::vector<Stream> open_;
  uint64_t streams_ = 0;
};

class DeliveryLogModel : public ::testing::TestWithParam<StoreUnderTest> {};

TEST_P(DeliveryLogModel, BehavesLikeAList) {
  EXPECT_TRUE(HoldsInRandomTrials<Trial>(GetParam()));
}

TEST_P(DeliveryLogModel, KeepsTheJournalAsTheOneInMemoryDoes) {
  EXPECT_TRUE(HoldsInRandomTrials<JournalTrial>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Stores, DeliveryLogModel, ::testing::ValuesIn(StoresUnderTest()),
    [](const ::testing::TestParamInfo<StoreUnderTest>& info) {
      return info.param.name;
    });

}  // namespace
}  // namespace waggle
