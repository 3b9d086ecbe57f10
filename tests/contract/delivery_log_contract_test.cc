#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "event/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/event_store_contract.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/test_events.h"
#include "tests/fakes/try_append.h"
#include "tests/fakes/wait_for.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::WaitFor;

constexpr uint64_t kNewest = UINT64_MAX;

std::string StreamId(uint64_t n) { return EventId(0xabc000 + n); }

std::vector<uint64_t> Ids(const std::vector<v1::Delivery>& deliveries) {
  std::vector<uint64_t> ids;
  for (const v1::Delivery& delivery : deliveries) ids.push_back(delivery.id());
  return ids;
}

std::vector<std::string> StreamIds(
    const std::vector<StreamHandover>& handovers) {
  std::vector<std::string> ids;
  for (const StreamHandover& handover : handovers) {
    ids.push_back(handover.stream.stream_id);
  }
  return ids;
}

class DeliveryLogContract : public ::testing::TestWithParam<StoreUnderTest> {
 protected:
  DeliveryLogContract() : data_(GetParam().make()) { Reopen(); }
  ~DeliveryLogContract() override { store_.events->Close(); }

  void Reopen() {
    if (store_.events != nullptr) store_.events->Close();
    store_ = {};
    store_ = data_->Open(clock_);
    log_ = store_.deliveries;
    store_.events->Start({});
    log_->FollowDeliveries([this](absl::Span<const DeliveryPtr> deliveries) {
      MutexLock lock(mu_);
      for (const DeliveryPtr& delivery : deliveries) told_.push_back(*delivery);
    });
  }

  // What the door knows of a delivery that arrives now.
  v1::Delivery Arrived() {
    v1::Delivery delivery;
    *delivery.mutable_received_at() = ToProto(clock_.Now());
    delivery.set_endpoint("bindbee");
    delivery.set_remote_address("192.0.2.7");
    delivery.set_size_bytes(321);
    return delivery;
  }

  v1::Delivery Refused(
      v1::DeliveryOutcome outcome = v1::DELIVERY_OUTCOME_UNAUTHENTICATED) {
    v1::Delivery delivery = Arrived();
    delivery.set_outcome(outcome);
    delivery.set_http_status(401);
    return delivery;
  }

  // Appends the n-th event; equal digests are duplicates.
  Appended MustAppend(uint64_t n, v1::Delivery delivery,
                      const std::string& digest) {
    NewEvent event = NumberedEvent(n);
    event.received_at = clock_.Now();
    event.identity.digest = digest;
    event.identity.window = absl::Minutes(10);
    delivery.set_http_status(200);
    event.delivery = std::make_shared<v1::Delivery>(std::move(delivery));
    absl::StatusOr<Appended> appended =
        TryAppend(*store_.events, std::move(event));
    EXPECT_TRUE(appended.ok()) << appended.status();
    return appended.ok() ? *appended : Appended();
  }
  Appended MustAppend(uint64_t n) {
    return MustAppend(n, Arrived(), absl::StrCat("digest ", n));
  }

  // Records, and returns once it is in the log.
  void MustRecord(v1::Delivery delivery) {
    const size_t before = told().size();
    ASSERT_TRUE(log_->Record(std::move(delivery)));
    WaitFor([&] { return told().size() > before; });
  }

  // Records of streams are told to nobody, but are in order with deliveries.
  void FlushJournal() { MustRecord(Refused()); }

  DeliveryPage MustList(const v1::DeliveryFilter& filter,
                        uint64_t before = kNewest, size_t max = 1000) {
    absl::StatusOr<DeliveryPage> page =
        log_->ListDeliveries(filter, before, max);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : DeliveryPage();
  }

  // Follows the pages to their end.
  std::vector<uint64_t> ListIds(const v1::DeliveryFilter& filter = {},
                                size_t max = 1000) {
    std::vector<uint64_t> ids;
    uint64_t before = kNewest;
    do {
      const DeliveryPage page = MustList(filter, before, max);
      EXPECT_LE(page.deliveries.size(), max);
      for (const uint64_t id : Ids(page.deliveries)) ids.push_back(id);
      EXPECT_LT(page.next_before, before);
      before = page.next_before;
    } while (before != 0);
    return ids;
  }

  std::vector<StreamHandover> MustFindHandovers(
      Sequence sequence, absl::Time since = absl::UnixEpoch(),
      absl::Time until = absl::InfiniteFuture(), size_t max = 100) {
    auto handovers = log_->Handovers(sequence, since, until, max);
    EXPECT_TRUE(handovers.ok()) << handovers.status();
    return handovers.ok() ? *std::move(handovers)
                          : std::vector<StreamHandover>();
  }

  StreamRecord Stream(uint64_t n, Sequence after = Sequence()) {
    return {.stream_id = StreamId(n),
            .principal = "payroll",
            .remote_address = "192.0.2.9",
            .filters = std::string("\x0a\x00\xff", 3),
            .after = after,
            .started_at = clock_.Now()};
  }

  StreamRecord Ended(StreamRecord stream) {
    stream.ended_at = clock_.Now();
    return stream;
  }

  std::vector<v1::Delivery> told() const {
    MutexLock lock(mu_);
    return told_;
  }

  FakeClock clock_;
  mutable Mutex mu_;
  std::vector<v1::Delivery> told_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<StoreData> data_;
  OpenStore store_;
  DeliveryLog* log_ = nullptr;
};

// Recording.

TEST_P(DeliveryLogContract, KeepsEverythingThatWasRecorded) {
  v1::Delivery whole = Arrived();
  whole.set_outcome(v1::DELIVERY_OUTCOME_UNAVAILABLE);
  whole.set_path("/webhooks/nobody");
  whole.set_http_status(503);
  *whole.mutable_read_duration() = ToProto(absl::Microseconds(1));
  *whole.mutable_verify_duration() = ToProto(absl::Seconds(75));
  whole.set_key_fingerprint("0123456789abcdef");
  whole.set_type_name("sync.completed");
  whole.set_connector_id("connector");
  whole.set_traceparent(
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  whole.set_unrecorded_before(uint64_t{1} << 40);
  v1::Delivery bare;
  *bare.mutable_received_at() = ToProto(clock_.Now());
  bare.set_outcome(static_cast<v1::DeliveryOutcome>(99));
  MustRecord(whole);
  MustRecord(bare);
  whole.set_id(1);
  bare.set_id(2);
  const DeliveryPage page = MustList({});
  ASSERT_EQ(page.deliveries.size(), 2u);
  EXPECT_EQ(page.deliveries[0].SerializeAsString(), bare.SerializeAsString());
  EXPECT_EQ(page.deliveries[1].SerializeAsString(), whole.SerializeAsString());
  const auto read = log_->ReadDelivery(1);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), whole.SerializeAsString());
  EXPECT_EQ(told()[0].SerializeAsString(), whole.SerializeAsString());
  EXPECT_TRUE(absl::IsNotFound(log_->ReadDelivery(3).status()));
  EXPECT_TRUE(absl::IsNotFound(log_->ReadDelivery(0).status()));
  EXPECT_TRUE(absl::IsNotFound(log_->ReadDelivery(kNewest).status()));
}

TEST_P(DeliveryLogContract, AnAppendIsRecordedWhenItIsAnswered) {
  const Appended first = MustAppend(1, Arrived(), "body");
  const Appended second = MustAppend(2, Arrived(), "body");
  ASSERT_TRUE(second.duplicate);
  const auto deliveries = MustList({}).deliveries;
  ASSERT_EQ(deliveries.size(), 2u);
  const v1::Delivery& accepted = deliveries[1];
  const v1::Delivery& duplicate = deliveries[0];
  EXPECT_EQ(accepted.outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  EXPECT_EQ(duplicate.outcome(), v1::DELIVERY_OUTCOME_DUPLICATE);
  for (const v1::Delivery& delivery : deliveries) {
    EXPECT_EQ(delivery.event_id(), EventId(1));
    EXPECT_EQ(delivery.sequence(), first.sequence.value());
    EXPECT_EQ(delivery.http_status(), 200u);
    EXPECT_TRUE(delivery.has_commit_duration());
    EXPECT_GE(ToDuration(delivery.commit_duration()), absl::ZeroDuration());
  }
  EXPECT_LT(accepted.id(), duplicate.id());
}

TEST_P(DeliveryLogContract, AnAppendWithoutADeliveryIsNotRecorded) {
  AppendNumbered(*store_.events, 1, 3);
  EXPECT_THAT(ListIds(), IsEmpty());
}

TEST_P(DeliveryLogContract, TellsOfEveryDeliveryOnceInOrder) {
  std::vector<NewEvent> events;
  for (uint64_t n = 1; n <= 200; ++n) {
    NewEvent event = NumberedEvent(n);
    event.identity.digest = absl::StrCat(n / 2);
    event.identity.window = absl::Minutes(10);
    event.delivery = std::make_shared<v1::Delivery>(Arrived());
    events.push_back(std::move(event));
    ASSERT_TRUE(log_->Record(Refused()));
  }
  AppendAll(*store_.events, std::move(events));
  WaitFor([&] { return told().size() == 400; });
  std::vector<uint64_t> told_ids = Ids(told());
  std::vector<uint64_t> listed = ListIds({}, 33);
  std::reverse(listed.begin(), listed.end());
  EXPECT_EQ(told_ids, listed);
  EXPECT_TRUE(std::is_sorted(listed.begin(), listed.end()));
  for (const v1::Delivery& delivery : told()) {
    EXPECT_EQ(delivery.sequence() != 0, delivery.has_commit_duration());
    const auto read = log_->ReadDelivery(delivery.id());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->SerializeAsString(), delivery.SerializeAsString());
  }
}

TEST_P(DeliveryLogContract, WhatWaitsIsRecordedByClosing) {
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(log_->Record(Refused()));
  store_.events->Close();
  EXPECT_EQ(told().size(), 1000u);
}

TEST_P(DeliveryLogContract, RefusesRecordsOnceClosed) {
  store_.events->Close();
  EXPECT_FALSE(log_->Record(Refused()));
  EXPECT_FALSE(log_->RecordStream(Stream(1)));
  EXPECT_FALSE(
      log_->RecordProgress({{StreamId(1), Sequence(1), clock_.Now()}}));
}

// Finding deliveries.

TEST_P(DeliveryLogContract, ListsPagesNewestFirst) {
  for (uint64_t n = 1; n <= 10; ++n) MustAppend(n);
  DeliveryPage page = MustList({}, kNewest, 4);
  EXPECT_THAT(Ids(page.deliveries), ElementsAre(10, 9, 8, 7));
  page = MustList({}, page.next_before, 4);
  EXPECT_THAT(Ids(page.deliveries), ElementsAre(6, 5, 4, 3));
  page = MustList({}, page.next_before, 4);
  EXPECT_THAT(Ids(page.deliveries), ElementsAre(2, 1));
  EXPECT_EQ(page.next_before, 0u);
  EXPECT_THAT(MustList({}, 1).deliveries, IsEmpty());
}

TEST_P(DeliveryLogContract, PagesGoOnWhereOthersWereRemoved) {
  MustRecord(Refused());
  for (uint64_t n = 2; n <= 4; ++n) MustAppend(n);
  MustRecord(Refused());
  ASSERT_TRUE(log_->TrimDeliveries({.max_records = 0}).ok());
  v1::DeliveryFilter filter;
  *filter.mutable_until() = ToProto(clock_.Now() + absl::Seconds(1));
  EXPECT_THAT(Ids(MustList(filter, kNewest, 1).deliveries), ElementsAre(5));
  EXPECT_THAT(Ids(MustList(filter, 5, 1).deliveries), ElementsAre(1));
}

TEST_P(DeliveryLogContract, AnEventThatIsNamedTwiceIsListedOnce) {
  MustAppend(1, Arrived(), "body");
  MustAppend(2, Arrived(), "body");
  v1::DeliveryFilter filter;
  filter.add_event_ids(EventId(1));
  filter.add_event_ids(EventId(1));
  EXPECT_THAT(ListIds(filter), ElementsAre(2, 1));
}

TEST_P(DeliveryLogContract, FiltersByEveryField) {
  const absl::Time start = clock_.Now();
  v1::Delivery other = Arrived();
  other.set_endpoint("other");
  other.set_connector_id("connector");
  other.set_type_name("type");
  MustAppend(1, other, "1");
  clock_.Advance(absl::Seconds(10));
  MustAppend(2, Arrived(), "1");
  MustRecord(Refused());
  clock_.Advance(absl::Seconds(10));
  MustRecord(Refused(v1::DELIVERY_OUTCOME_TOO_LARGE));
  MustAppend(5);

  const auto list = [&](const auto& set) {
    v1::DeliveryFilter filter;
    set(filter);
    return ListIds(filter, 2);
  };
  using Filter = v1::DeliveryFilter;
  EXPECT_THAT(list([](Filter& f) { f.add_endpoints("other"); }),
              ElementsAre(1));
  EXPECT_THAT(list([](Filter& f) {
                f.add_endpoints("other");
                f.add_endpoints("bindbee");
              }),
              ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(list([](Filter& f) { f.add_endpoints("Other"); }), IsEmpty());
  EXPECT_THAT(list([](Filter& f) { f.add_connector_ids("connector"); }),
              ElementsAre(1));
  EXPECT_THAT(list([](Filter& f) { f.add_type_names("type"); }),
              ElementsAre(1));
  EXPECT_THAT(list([](Filter& f) {
                f.add_outcomes(v1::DELIVERY_OUTCOME_DUPLICATE);
                f.add_outcomes(v1::DELIVERY_OUTCOME_TOO_LARGE);
              }),
              ElementsAre(4, 2));
  EXPECT_THAT(list([](Filter& f) { f.add_event_ids(EventId(1)); }),
              ElementsAre(2, 1));
  EXPECT_THAT(list([](Filter& f) {
                f.add_event_ids(EventId(1));
                f.add_event_ids(EventId(5));
                f.set_after_id(1);
              }),
              ElementsAre(5, 2));
  EXPECT_THAT(list([](Filter& f) { f.add_event_ids(EventId(77)); }), IsEmpty());
  EXPECT_THAT(list([](Filter& f) { f.add_event_ids("no id"); }), IsEmpty());
  EXPECT_THAT(list([](Filter& f) { f.set_after_id(3); }), ElementsAre(5, 4));
  EXPECT_THAT(list([](Filter& f) { f.set_after_id(kNewest); }), IsEmpty());
  EXPECT_THAT(list([&](Filter& f) {
                *f.mutable_since() = ToProto(start + absl::Seconds(10));
              }),
              ElementsAre(5, 4, 3, 2));
  EXPECT_THAT(list([&](Filter& f) {
                *f.mutable_until() = ToProto(start + absl::Seconds(10));
              }),
              ElementsAre(1));
  EXPECT_THAT(list([&](Filter& f) {
                *f.mutable_since() = ToProto(start + absl::Seconds(1));
                *f.mutable_until() = ToProto(start + absl::Seconds(11));
                f.add_endpoints("bindbee");
                f.add_outcomes(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
              }),
              ElementsAre(3));
}

TEST_P(DeliveryLogContract, FindsTheDeliveriesOfEventsThatWereTrimmed) {
  const Appended first = MustAppend(1, Arrived(), "body");
  MustAppend(2, Arrived(), "body");
  clock_.Advance(absl::Hours(1));
  MustAppend(3);
  ASSERT_TRUE(store_.events->Trim({.max_age = absl::Minutes(1)}).ok());
  v1::DeliveryFilter filter;
  filter.add_event_ids(EventId(1));
  filter.add_event_ids(EventId(3));
  EXPECT_THAT(ListIds(filter), ElementsAre(3, 2, 1));
  const auto deliveries = log_->DeliveriesOf(first.sequence, 10);
  ASSERT_TRUE(deliveries.ok()) << deliveries.status();
  EXPECT_THAT(Ids(*deliveries), ElementsAre(1, 2));
}

TEST_P(DeliveryLogContract, FindsByTimeWhenTheClockWasMovedBack) {
  const absl::Time start = clock_.Now();
  MustAppend(1);
  clock_.Advance(-absl::Minutes(20));
  MustAppend(2);
  clock_.Advance(absl::Minutes(5));
  MustAppend(3);
  v1::DeliveryFilter filter;
  *filter.mutable_since() = ToProto(start - absl::Minutes(16));
  EXPECT_THAT(ListIds(filter), ElementsAre(3, 1));
  *filter.mutable_until() = ToProto(start);
  EXPECT_THAT(ListIds(filter), ElementsAre(3));
}

TEST_P(DeliveryLogContract, FindsByTimeWhenTheClockWasFarAhead) {
  const absl::Time start = clock_.Now();
  clock_.Advance(absl::Hours(30));
  MustAppend(1);
  clock_.Set(start);
  MustAppend(2);
  v1::DeliveryFilter filter;
  *filter.mutable_since() = ToProto(start);
  *filter.mutable_until() = ToProto(start + absl::Seconds(1));
  EXPECT_THAT(ListIds(filter), ElementsAre(2));
}

TEST_P(DeliveryLogContract, FindsTheDeliveriesOfAnEventOldestFirst) {
  std::vector<Sequence> sequences;
  for (uint64_t n = 1; n <= 9; ++n) {
    sequences.push_back(MustAppend(n, Arrived(), absl::StrCat(n % 3)).sequence);
  }
  const auto deliveries = log_->DeliveriesOf(sequences[1], 10);
  ASSERT_TRUE(deliveries.ok()) << deliveries.status();
  EXPECT_THAT(Ids(*deliveries), ElementsAre(2, 5, 8));
  EXPECT_EQ(log_->DeliveriesOf(sequences[1], 2)->size(), 2u);
  EXPECT_THAT(*log_->DeliveriesOf(Sequence(77), 10), IsEmpty());
  MustRecord(Refused());
  EXPECT_THAT(*log_->DeliveriesOf(Sequence(), 10), IsEmpty());
}

// The journal of streams.

TEST_P(DeliveryLogContract, SaysWhichStreamHadBeenHandedWhatWhen) {
  const absl::Time start = clock_.Now();
  ASSERT_TRUE(log_->RecordStream(Stream(1)));
  ASSERT_TRUE(log_->RecordStream(Stream(2, Sequence(10))));
  const auto progress = [&](uint64_t stream, uint64_t through, int seconds) {
    return StreamProgress{StreamId(stream), Sequence(through),
                          start + absl::Seconds(seconds)};
  };
  ASSERT_TRUE(log_->RecordProgress({progress(1, 5, 1), progress(2, 12, 1)}));
  ASSERT_TRUE(log_->RecordProgress({progress(1, 20, 2)}));
  ASSERT_TRUE(log_->RecordProgress({progress(1, 30, 3), progress(2, 20, 3)}));
  // Of a stream that nobody recorded.
  ASSERT_TRUE(log_->RecordProgress({progress(3, 30, 3)}));
  FlushJournal();

  auto handovers = MustFindHandovers(Sequence(12));
  ASSERT_THAT(StreamIds(handovers), ElementsAre(StreamId(2), StreamId(1)));
  EXPECT_EQ(handovers[0].handed_over_at, start + absl::Seconds(1));
  EXPECT_EQ(handovers[1].handed_over_at, start + absl::Seconds(2));
  const StreamRecord& stream = handovers[0].stream;
  EXPECT_EQ(stream.principal, "payroll");
  EXPECT_EQ(stream.remote_address, "192.0.2.9");
  EXPECT_EQ(stream.filters, std::string("\x0a\x00\xff", 3));
  EXPECT_EQ(stream.after, Sequence(10));
  EXPECT_EQ(stream.started_at, start);
  EXPECT_EQ(stream.ended_at, absl::InfiniteFuture());
  EXPECT_TRUE(stream.open());

  // Not of streams that began after it.
  EXPECT_THAT(StreamIds(MustFindHandovers(Sequence(10))),
              ElementsAre(StreamId(1)));
  // Not yet.
  handovers = MustFindHandovers(Sequence(25));
  ASSERT_THAT(StreamIds(handovers), ElementsAre(StreamId(2), StreamId(1)));
  EXPECT_EQ(handovers[0].handed_over_at, absl::InfiniteFuture());
  EXPECT_EQ(handovers[1].handed_over_at, start + absl::Seconds(3));
  EXPECT_THAT(StreamIds(MustFindHandovers(Sequence(25), absl::UnixEpoch(),
                                          absl::InfiniteFuture(), /*max=*/1)),
              ElementsAre(StreamId(2)));
}

TEST_P(DeliveryLogContract, FindsStreamsByTheTimeThatTheyWereOpen) {
  const absl::Time start = clock_.Now();
  const auto seconds = [&](int n) { return start + absl::Seconds(n); };
  const StreamRecord first = Stream(1);
  ASSERT_TRUE(log_->RecordStream(first));
  clock_.Advance(absl::Seconds(10));
  const StreamRecord second = Stream(2);
  ASSERT_TRUE(log_->RecordStream(second));
  clock_.Advance(absl::Seconds(10));
  ASSERT_TRUE(log_->RecordStream(Ended(first)));
  FlushJournal();
  const auto open_in = [&](int since, int until) {
    return StreamIds(
        MustFindHandovers(Sequence(1), seconds(since), seconds(until)));
  };
  EXPECT_THAT(open_in(-5, 0), IsEmpty());
  EXPECT_THAT(open_in(-5, 1), ElementsAre(StreamId(1)));
  EXPECT_THAT(open_in(5, 10), ElementsAre(StreamId(1)));
  EXPECT_THAT(open_in(0, 60), ElementsAre(StreamId(2), StreamId(1)));
  EXPECT_THAT(open_in(19, 20), ElementsAre(StreamId(2), StreamId(1)));
  EXPECT_THAT(open_in(20, 21), ElementsAre(StreamId(2)));
  const auto handovers = MustFindHandovers(Sequence(1));
  ASSERT_EQ(handovers.size(), 2u);
  EXPECT_EQ(handovers[1].stream.ended_at, seconds(20));
  EXPECT_EQ(handovers[1].stream.started_at, start);
  EXPECT_FALSE(handovers[1].stream.open());
  EXPECT_TRUE(handovers[0].stream.open());
}

TEST_P(DeliveryLogContract, AStreamThatEndedKeepsItsProgress) {
  const StreamRecord stream = Stream(1);
  ASSERT_TRUE(log_->RecordStream(stream));
  ASSERT_TRUE(log_->RecordProgress({{StreamId(1), Sequence(5), clock_.Now()}}));
  ASSERT_TRUE(log_->RecordStream(Ended(stream)));
  FlushJournal();
  EXPECT_EQ(MustFindHandovers(Sequence(5)).front().handed_over_at,
            clock_.Now());
  EXPECT_EQ(MustFindHandovers(Sequence(6)).front().handed_over_at,
            absl::InfiniteFuture());
}

TEST_P(DeliveryLogContract, TakesNoProgressOfAStreamThatEnded) {
  const StreamRecord stream = Stream(1);
  ASSERT_TRUE(log_->RecordStream(stream));
  ASSERT_TRUE(log_->RecordStream(Ended(stream)));
  ASSERT_TRUE(log_->RecordProgress({{StreamId(1), Sequence(5), clock_.Now()}}));
  FlushJournal();
  EXPECT_EQ(MustFindHandovers(Sequence(5)).front().handed_over_at,
            absl::InfiniteFuture());
}

// Retention.

TEST_P(DeliveryLogContract, TrimsByAge) {
  MustAppend(1);
  MustRecord(Refused());
  const StreamRecord ended = Stream(1);
  ASSERT_TRUE(log_->RecordStream(ended));
  ASSERT_TRUE(log_->RecordStream(Stream(2)));
  ASSERT_TRUE(log_->RecordStream(Ended(ended)));
  ASSERT_TRUE(log_->RecordProgress({{StreamId(1), Sequence(1), clock_.Now()},
                                    {StreamId(2), Sequence(1), clock_.Now()}}));
  FlushJournal();
  clock_.Advance(absl::Seconds(10));
  MustAppend(2);
  MustRecord(Refused());

  const auto trim = [&](absl::Duration max_age) {
    const absl::Status status = log_->TrimDeliveries({.max_age = max_age});
    EXPECT_TRUE(status.ok()) << status;
  };
  trim(absl::Seconds(10));
  EXPECT_THAT(ListIds(), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_EQ(MustFindHandovers(Sequence(1)).size(), 2u);
  trim(absl::Seconds(9));
  EXPECT_THAT(ListIds(), ElementsAre(5, 4));
  const auto handovers = MustFindHandovers(Sequence(1));
  ASSERT_THAT(StreamIds(handovers), ElementsAre(StreamId(2)));
  EXPECT_EQ(handovers[0].handed_over_at, absl::InfiniteFuture());
  // The events are not the log's.
  EXPECT_EQ(store_.events->Bounds().trimmed_through, Sequence());
}

TEST_P(DeliveryLogContract, TrimsEachKindByItsNumber) {
  for (uint64_t n = 1; n <= 6; ++n) {
    MustAppend(n);
    MustRecord(Refused());
  }
  ASSERT_TRUE(log_->TrimDeliveries({.max_records = 2}).ok());
  EXPECT_THAT(ListIds(), ElementsAre(12, 11, 10, 9, 8, 6, 4, 2));
  ASSERT_TRUE(log_->TrimDeliveries({.max_refused_records = 3}).ok());
  EXPECT_THAT(ListIds({}, 2), ElementsAre(12, 11, 10, 9, 8));
  MustAppend(7);
  ASSERT_TRUE(log_->TrimDeliveries({.max_records = 2}).ok());
  EXPECT_THAT(ListIds(), ElementsAre(13, 12, 11, 10, 8));
}

TEST_P(DeliveryLogContract, TrimsProgressByItsNumber) {
  ASSERT_TRUE(log_->RecordStream(Stream(1)));
  for (int n = 1; n <= 5; ++n) {
    ASSERT_TRUE(
        log_->RecordProgress({{StreamId(1), Sequence(static_cast<uint64_t>(n)),
                               clock_.Now() + absl::Seconds(n)}}));
  }
  FlushJournal();
  ASSERT_TRUE(log_->TrimDeliveries({.max_progress = 2}).ok());
  EXPECT_EQ(MustFindHandovers(Sequence(1)).front().handed_over_at,
            clock_.Now() + absl::Seconds(4));
}

TEST_P(DeliveryLogContract, AStreamThatEndedIsRememberedWithoutItsProgress) {
  const StreamRecord ended = Stream(1);
  ASSERT_TRUE(log_->RecordStream(ended));
  ASSERT_TRUE(log_->RecordStream(Stream(2)));
  ASSERT_TRUE(log_->RecordProgress({{StreamId(1), Sequence(5), clock_.Now()},
                                    {StreamId(2), Sequence(1), clock_.Now()},
                                    {StreamId(2), Sequence(2), clock_.Now()}}));
  clock_.Advance(absl::Seconds(10));
  ASSERT_TRUE(log_->RecordStream(Ended(ended)));
  FlushJournal();
  ASSERT_TRUE(log_->TrimDeliveries({.max_progress = 2}).ok());
  const auto handed_over_at = [&](uint64_t sequence) {
    const auto handovers = MustFindHandovers(Sequence(sequence));
    EXPECT_THAT(StreamIds(handovers), ElementsAre(StreamId(2), StreamId(1)));
    return handovers.back().handed_over_at;
  };
  EXPECT_EQ(handed_over_at(5), clock_.Now());
  EXPECT_EQ(handed_over_at(6), absl::InfiniteFuture());
}

TEST_P(DeliveryLogContract, TrimsStreamsThatEndedByTheirNumber) {
  for (uint64_t n = 1; n <= 5; ++n) {
    const StreamRecord stream = Stream(n);
    ASSERT_TRUE(log_->RecordStream(stream));
    clock_.Advance(absl::Seconds(1));
    if (n != 2) {
      ASSERT_TRUE(log_->RecordStream(Ended(stream)));
    }
  }
  FlushJournal();
  ASSERT_TRUE(log_->TrimDeliveries({.max_progress = 3}).ok());
  EXPECT_THAT(StreamIds(MustFindHandovers(Sequence(1))),
              ElementsAre(StreamId(5), StreamId(4), StreamId(2)));
  ASSERT_TRUE(log_->TrimDeliveries({.max_progress = 0}).ok());
  EXPECT_THAT(StreamIds(MustFindHandovers(Sequence(1))),
              ElementsAre(StreamId(2)));
}

TEST_P(DeliveryLogContract, ReadersAndWritersDoNotDisturbEachOther) {
  constexpr uint64_t kEach = 150;
  std::atomic<bool> done = false;
  std::vector<std::thread> writers;
  for (uint64_t t = 1; t <= 3; ++t) {
    writers.emplace_back([&, t] {
      const StreamRecord stream = Stream(t);
      EXPECT_TRUE(log_->RecordStream(stream));
      for (uint64_t n = t * 1000; n < t * 1000 + kEach; ++n) {
        const Sequence sequence = MustAppend(n).sequence;
        EXPECT_TRUE(log_->Record(Refused()));
        EXPECT_TRUE(
            log_->RecordProgress({{stream.stream_id, sequence, clock_.Now()}}));
      }
      EXPECT_TRUE(log_->RecordStream(Ended(stream)));
    });
  }
  std::vector<std::thread> others;
  others.emplace_back([&] {
    while (!done) {
      EXPECT_TRUE(log_->TrimDeliveries({.max_records = 100}).ok());
    }
  });
  others.emplace_back([&] {
    while (!done) {
      const std::vector<uint64_t> ids = ListIds({}, 50);
      EXPECT_TRUE(std::is_sorted(ids.rbegin(), ids.rend()));
      MustFindHandovers(Sequence(kEach));
    }
  });
  for (std::thread& thread : writers) thread.join();
  done = true;
  for (std::thread& thread : others) thread.join();

  ASSERT_TRUE(log_->TrimDeliveries({.max_records = 100}).ok());
  WaitFor([&] { return told().size() == 6 * kEach; });
  v1::DeliveryFilter accepted;
  accepted.add_outcomes(v1::DELIVERY_OUTCOME_ACCEPTED);
  // What was stored at once may go at once.
  const size_t left = ListIds(accepted).size();
  EXPECT_LE(left, 100u);
  EXPECT_GE(left, 98u);
  EXPECT_EQ(ListIds().size(), left + 3 * kEach);
  EXPECT_EQ(MustFindHandovers(Sequence(1)).size(), 3u);
}

TEST_P(DeliveryLogContract, TrimsManyAndGoesOn) {
  std::vector<NewEvent> events;
  for (uint64_t n = 1; n <= 1000; ++n) {
    NewEvent event = NumberedEvent(n);
    event.delivery = std::make_shared<v1::Delivery>(Arrived());
    events.push_back(std::move(event));
  }
  AppendAll(*store_.events, std::move(events));
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(log_->TrimDeliveries({.max_age = absl::Minutes(1)}).ok());
  EXPECT_THAT(ListIds(), IsEmpty());
  const Appended appended = MustAppend(1001);
  EXPECT_THAT(ListIds(), ElementsAre(1001));
  EXPECT_EQ(log_->DeliveriesOf(appended.sequence, 10)->size(), 1u);
}

// What durable stores promise on top.

using DurableDeliveryLogContract = DeliveryLogContract;

TEST_P(DurableDeliveryLogContract, SurvivesWithItsStore) {
  const Appended appended = MustAppend(1);
  ASSERT_TRUE(log_->Record(Refused()));
  ASSERT_TRUE(log_->RecordStream(Stream(1)));
  ASSERT_TRUE(
      log_->RecordProgress({{StreamId(1), appended.sequence, clock_.Now()}}));
  Reopen();
  const auto deliveries = MustList({}).deliveries;
  ASSERT_THAT(Ids(deliveries), ElementsAre(2, 1));
  EXPECT_EQ(deliveries[0].SerializeAsString(), told()[1].SerializeAsString());
  EXPECT_EQ(deliveries[1].SerializeAsString(), told()[0].SerializeAsString());
  const auto handovers = MustFindHandovers(appended.sequence);
  ASSERT_EQ(handovers.size(), 1u);
  EXPECT_EQ(handovers[0].handed_over_at, clock_.Now());
  // Nobody said when it ended: not after the store was opened again.
  EXPECT_EQ(handovers[0].stream.ended_at, clock_.Now());
  // Ids go on.
  MustRecord(Refused());
  EXPECT_THAT(ListIds(), ElementsAre(3, 2, 1));
}

TEST_P(DurableDeliveryLogContract, NeverGivesAnIdTwice) {
  MustAppend(1);
  MustRecord(Refused());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(log_->TrimDeliveries({.max_age = absl::Minutes(1)}).ok());
  Reopen();
  EXPECT_THAT(ListIds(), IsEmpty());
  MustAppend(2);
  EXPECT_THAT(ListIds(), ElementsAre(3));
}

TEST_P(DurableDeliveryLogContract, RefusesToTrimOrReadOnceClosed) {
  MustAppend(1);
  store_.events->Close();
  EXPECT_TRUE(absl::IsUnavailable(log_->TrimDeliveries({.max_records = 0})));
  EXPECT_TRUE(
      absl::IsUnavailable(log_->ListDeliveries({}, kNewest, 1).status()));
  EXPECT_TRUE(absl::IsUnavailable(log_->ReadDelivery(1).status()));
}

std::vector<StoreUnderTest> DurableStores() {
  std::vector<StoreUnderTest> stores = StoresUnderTest();
  std::erase_if(stores, [](const StoreUnderTest& s) { return !s.durable; });
  return stores;
}

std::string Name(const ::testing::TestParamInfo<StoreUnderTest>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Stores, DeliveryLogContract,
                         ::testing::ValuesIn(StoresUnderTest()), Name);
INSTANTIATE_TEST_SUITE_P(Stores, DurableDeliveryLogContract,
                         ::testing::ValuesIn(DurableStores()), Name);

}  // namespace
}  // namespace waggle
