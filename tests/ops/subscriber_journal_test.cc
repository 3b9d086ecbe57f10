#include "ops/subscriber_journal.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/thread_pool.h"
#include "event/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/recorded_deliveries.h"
#include "tests/fakes/test_deliveries.h"
#include "tests/fakes/wait_for.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using waggle::testing::WaitFor;

// Reports what the test says.
class FakeSubscriber final : public Subscriber {
 public:
  SubscriberReport Report() override {
    MutexLock lock(mu_);
    return std::exchange(report_, WithoutTimes(report_));
  }
  void Set(const SubscriberReport& report) {
    MutexLock lock(mu_);
    report_ = report;
  }

 private:
  static SubscriberReport WithoutTimes(SubscriberReport report) {
    report.times = DeliveryTimes();
    return report;
  }

  Mutex mu_;
  SubscriberReport report_ ABSL_GUARDED_BY(mu_);
};

class SubscriberJournalTest : public ::testing::Test {
 protected:
  // Memory holds nothing, so that lags are known by the positions' times.
  SubscriberJournalTest() {
    HubOptions options;
    options.tail_bytes = 0;
    hub_ = std::make_unique<EventHub>(store_, readers_, options);
    hub_->Start();
    SetPrincipals({"payroll", "audit"});
    journal_ = std::make_unique<SubscriberJournal>(store_, *hub_, store_,
                                                   access_, clock_, metrics_);
  }
  ~SubscriberJournalTest() override {
    hub_->Stop();
    store_.Close();
  }

  void SetPrincipals(const std::vector<std::string>& names) {
    config::v1::Access policy;
    for (const std::string& name : names) {
      auto* principal = policy.add_principals();
      principal->set_name(name);
      principal->add_jwt_subjects(name);
    }
    ASSERT_TRUE(access_.SetPolicy(policy).ok());
  }

  static SubscriberInfo InfoOf(const std::string& principal) {
    SubscriberInfo info;
    info.principal = principal;
    info.remote_address = "10.0.0.1";
    info.effective_filters =
        FromText<v1::SubscribeRequest>("filters { endpoints: 'bindbee' }")
            .filters();
    return info;
  }
  static SubscriberReport At(uint64_t position, uint64_t delivered = 0) {
    SubscriberReport report;
    report.position = Sequence(position);
    report.delivered = delivered;
    return report;
  }

  // The streams that the event was for, once there are so many in the log.
  std::vector<StreamHandover> Handovers(uint64_t sequence, size_t count) {
    std::vector<StreamHandover> handovers;
    WaitFor([&] {
      handovers = *store_.Handovers(Sequence(sequence), absl::InfinitePast(),
                                    absl::InfiniteFuture(), 100);
      return handovers.size() == count;
    });
    return handovers;
  }

  std::string Metric() {
    journal_->UpdateMetrics();
    return metrics_.Serialize();
  }

  FakeClock clock_;
  Metrics metrics_;
  MemoryEventStore store_{clock_};
  ThreadPool readers_{1};
  AccessControl access_{
      JwtOptions{"https://issuer.example", "waggle", absl::Seconds(30)},
      clock_};
  std::unique_ptr<EventHub> hub_;
  std::unique_ptr<SubscriberJournal> journal_;
};

TEST_F(SubscriberJournalTest, RecordsStreamsTheirProgressAndTheirEnd) {
  const auto stream = std::make_shared<FakeSubscriber>();
  const absl::Time opened = clock_.Now();
  const std::string id = journal_->Open(InfoOf("payroll"), stream);
  journal_->Record();
  StreamHandover handover = Handovers(5, 1)[0];
  EXPECT_EQ(handover.stream.stream_id, id);
  EXPECT_EQ(handover.stream.principal, "payroll");
  EXPECT_EQ(handover.stream.started_at, opened);
  EXPECT_TRUE(handover.stream.open());
  EXPECT_EQ(handover.handed_over_at, absl::InfiniteFuture());
  v1::SubscribeRequest filters;
  ASSERT_TRUE(filters.ParseFromString(handover.stream.filters));
  EXPECT_EQ(filters.filters(0).endpoints(0), "bindbee");

  clock_.Advance(absl::Seconds(3));
  SubscriberReport report = At(9, 2);
  report.handed_through = Sequence(5);
  report.handed_over_at = clock_.Now();
  stream->Set(report);
  journal_->Record();
  WaitFor([&] {
    return Handovers(5, 1)[0].handed_over_at != absl::InfiniteFuture();
  });
  EXPECT_EQ(Handovers(5, 1)[0].handed_over_at, clock_.Now());
  EXPECT_EQ(Handovers(6, 1)[0].handed_over_at, absl::InfiniteFuture());

  clock_.Advance(absl::Seconds(3));
  report.handed_through = Sequence(7);
  report.handed_over_at = clock_.Now();
  stream->Set(report);
  journal_->Close(id);
  journal_->Record();
  WaitFor([&] {
    handover = Handovers(7, 1)[0];
    return !handover.stream.open() &&
           handover.handed_over_at != absl::InfiniteFuture();
  });
  EXPECT_EQ(handover.stream.ended_at, clock_.Now());
  EXPECT_EQ(handover.handed_over_at, clock_.Now());
  EXPECT_EQ(journal_->open(), 0u);
}

TEST_F(SubscriberJournalTest, AStreamThatEndedBeforeItWasRecordedIsRecorded) {
  const auto stream = std::make_shared<FakeSubscriber>();
  SubscriberReport report = At(4, 1);
  report.handed_through = Sequence(4);
  report.handed_over_at = clock_.Now();
  stream->Set(report);
  journal_->Close(journal_->Open(InfoOf("payroll"), stream));
  journal_->Record();
  StreamHandover handover;
  WaitFor([&] {
    handover = Handovers(4, 1)[0];
    return !handover.stream.open();
  });
  EXPECT_EQ(handover.handed_over_at, clock_.Now());
}

TEST_F(SubscriberJournalTest, ListsTheFurthestBehindFirst) {
  const auto near = std::make_shared<FakeSubscriber>();
  const auto far = std::make_shared<FakeSubscriber>();
  const std::string near_id = journal_->Open(InfoOf("payroll"), near);
  const std::string far_id = journal_->Open(InfoOf("audit"), far);
  AppendNumbered(store_, 1, 4);
  clock_.Advance(absl::Seconds(1));
  journal_->Record();
  clock_.Advance(absl::Seconds(1));
  AppendNumbered(store_, 5, 10);
  clock_.Advance(absl::Seconds(1));
  journal_->Record();
  clock_.Advance(absl::Seconds(5));
  near->Set(At(10, 10));
  far->Set(At(2, 2));
  v1::ListSubscribersResponse list = journal_->List(10);
  EXPECT_EQ(list.total(), 2u);
  ASSERT_EQ(list.subscribers_size(), 2);
  EXPECT_EQ(list.subscribers(0).stream_id(), far_id);
  EXPECT_EQ(list.subscribers(0).principal(), "audit");
  EXPECT_EQ(list.subscribers(0).position(), 2u);
  EXPECT_EQ(list.subscribers(0).lag_events(), 8u);
  EXPECT_EQ(ToDuration(list.subscribers(0).lag_age()), absl::Seconds(7));
  EXPECT_EQ(list.subscribers(0).delivered(), 2u);
  EXPECT_EQ(list.subscribers(1).stream_id(), near_id);
  EXPECT_EQ(list.subscribers(1).lag_events(), 0u);
  EXPECT_EQ(ToDuration(list.subscribers(1).lag_age()), absl::ZeroDuration());
  list = journal_->List(1);
  EXPECT_EQ(list.total(), 2u);
  EXPECT_EQ(list.subscribers_size(), 1);
  journal_->Close(near_id);
  journal_->Close(far_id);
  EXPECT_EQ(journal_->List(10).total(), 0u);
}

TEST_F(SubscriberJournalTest, LargeFiltersAreLeftOutOfTheList) {
  const auto stream = std::make_shared<FakeSubscriber>();
  const auto open = [&](size_t size) {
    SubscriberInfo info = InfoOf("payroll");
    info.filters.Add()->add_endpoints(std::string(size, 'e'));
    return journal_->Open(info, stream);
  };
  std::vector<std::string> ids = {open(5000)};
  EXPECT_TRUE(journal_->List(1).subscribers(0).filters_omitted());
  for (int i = 0; i < 400; ++i) ids.push_back(open(4000));
  const v1::ListSubscribersResponse list = journal_->List(1000);
  EXPECT_EQ(list.subscribers_size(), 401);
  EXPECT_LT(list.ByteSizeLong(), 2u << 20);
  int shown = 0;
  for (const v1::Subscriber& subscriber : list.subscribers()) {
    EXPECT_EQ(subscriber.filters().empty(), subscriber.filters_omitted());
    if (!subscriber.filters_omitted()) ++shown;
  }
  EXPECT_GT(shown, 200);
  for (const std::string& id : ids) journal_->Close(id);
}

// Of those that the log does not take.
TEST_F(SubscriberJournalTest, SoManyClosedStreamsAreHeldAsMemoryIsFor) {
  class StubbornLog final : public RecordedDeliveries {
   public:
    bool RecordStream(StreamRecord stream) override {
      if (takes && stream.open()) ++streams;
      return takes;
    }
    bool takes = false;
    int streams = 0;
  };
  StubbornLog log;
  SubscriberJournal journal(store_, *hub_, log, access_, clock_, metrics_);
  const auto stream = std::make_shared<FakeSubscriber>();
  const auto come_and_go = [&] {
    for (int i = 0; i < 500; ++i) {
      SubscriberInfo info = InfoOf("payroll");
      info.filters.Add()->add_endpoints(std::string(60'000, 'e'));
      journal.Close(journal.Open(info, stream));
    }
  };
  come_and_go();
  log.takes = true;
  journal.Record();
  EXPECT_GT(log.streams, 100);
  EXPECT_LT(log.streams, 300);
  // What was recorded makes room.
  const int before = log.streams;
  come_and_go();
  journal.Record();
  EXPECT_EQ(log.streams, 2 * before);
}

TEST_F(SubscriberJournalTest, TheLagIsThatOfThePrincipalsFurthestStream) {
  AppendNumbered(store_, 1, 10);
  const auto a = std::make_shared<FakeSubscriber>();
  const auto b = std::make_shared<FakeSubscriber>();
  journal_->Open(InfoOf("payroll"), a);
  journal_->Open(InfoOf("payroll"), b);
  a->Set(At(9));
  b->Set(At(4));
  EXPECT_THAT(Metric(),
              HasSubstr("waggle_client_lag_events{principal=\"payroll\"} 6\n"));
}

TEST_F(SubscriberJournalTest, AConsumerThatIsDownFallsBehind) {
  const auto stream = std::make_shared<FakeSubscriber>();
  AppendNumbered(store_, 1, 10);
  const std::string id = journal_->Open(InfoOf("payroll"), stream);
  stream->Set(At(10));
  journal_->Close(id);
  EXPECT_THAT(Metric(),
              HasSubstr("waggle_client_lag_events{principal=\"payroll\"} 0\n"));
  clock_.Advance(absl::Seconds(1));
  AppendNumbered(store_, 11, 13);
  clock_.Advance(absl::Seconds(1));
  journal_->Record();
  clock_.Advance(absl::Minutes(3));
  const std::string text = Metric();
  EXPECT_THAT(text,
              HasSubstr("waggle_client_lag_events{principal=\"payroll\"} 3\n"));
  EXPECT_THAT(
      text,
      HasSubstr("waggle_client_lag_seconds{principal=\"payroll\"} 180\n"));
  // Until it has been gone for a day.
  clock_.Advance(absl::Hours(24));
  EXPECT_THAT(Metric(), Not(HasSubstr("principal=\"payroll\"")));
}

TEST_F(SubscriberJournalTest, APrincipalThatIsRemovedLosesItsSeries) {
  const auto stream = std::make_shared<FakeSubscriber>();
  journal_->Close(journal_->Open(InfoOf("payroll"), stream));
  EXPECT_THAT(Metric(), HasSubstr("principal=\"payroll\""));
  SetPrincipals({"audit"});
  EXPECT_THAT(Metric(), Not(HasSubstr("principal=\"payroll\"")));
}

TEST_F(SubscriberJournalTest, BoundedReadsAreNoConsumers) {
  const auto stream = std::make_shared<FakeSubscriber>();
  SubscriberInfo info = InfoOf("payroll");
  info.stops_when_caught_up = true;
  const std::string id = journal_->Open(info, stream);
  EXPECT_THAT(Metric(), Not(HasSubstr("principal=")));
  journal_->Close(id);
  EXPECT_THAT(Metric(), Not(HasSubstr("principal=")));
}

TEST_F(SubscriberJournalTest, WhoIsInNoAccessFileCountsWhileOpen) {
  const auto stream = std::make_shared<FakeSubscriber>();
  const std::string id = journal_->Open(InfoOf("anonymous"), stream);
  EXPECT_THAT(Metric(), HasSubstr("principal=\"anonymous\""));
  journal_->Close(id);
  EXPECT_THAT(Metric(), Not(HasSubstr("principal=\"anonymous\"")));
}

TEST_F(SubscriberJournalTest, DeliveryTimesReachTheHistogramOnce) {
  const auto stream = std::make_shared<FakeSubscriber>();
  const std::string id = journal_->Open(InfoOf("payroll"), stream);
  SubscriberReport report = At(1, 1);
  report.times.Add(absl::Milliseconds(3));
  report.times.Add(absl::Hours(1));
  // A clock that was set back.
  report.times.Add(-absl::Seconds(1));
  stream->Set(report);
  EXPECT_THAT(Metric(), HasSubstr("waggle_event_delivery_seconds_count 3\n"));
  journal_->Close(id);
  const std::string text = Metric();
  EXPECT_THAT(text, HasSubstr("waggle_event_delivery_seconds_count 3\n"));
  EXPECT_THAT(
      text,
      HasSubstr("waggle_event_delivery_seconds_bucket{le=\"0.005\"} 2\n"));
  EXPECT_THAT(
      text, HasSubstr("waggle_event_delivery_seconds_bucket{le=\"300\"} 2\n"));
}

TEST_F(SubscriberJournalTest, WhatRetentionRemovedIsStillLag) {
  const auto stream = std::make_shared<FakeSubscriber>();
  const std::string id = journal_->Open(InfoOf("payroll"), stream);
  stream->Set(At(1));
  AppendNumbered(store_, 1, 3);
  clock_.Advance(absl::Seconds(1));
  journal_->Record();
  clock_.Advance(absl::Hours(1));
  RetentionLimits limits;
  limits.max_age = absl::Minutes(1);
  ASSERT_TRUE(store_.Trim(limits).ok());
  EXPECT_EQ(ToDuration(journal_->List(1).subscribers(0).lag_age()),
            absl::Hours(1));
  journal_->Close(id);
}

// A store that was there before: about how old what is missing is.
TEST_F(SubscriberJournalTest, LagsOfBeforeTheStartAreKnown) {
  AppendNumbered(store_, 1, 3);
  clock_.Advance(absl::Hours(2));
  AppendNumbered(store_, 4, 6);
  clock_.Advance(absl::Seconds(2));
  journal_ = std::make_unique<SubscriberJournal>(store_, *hub_, store_, access_,
                                                 clock_, metrics_);
  const auto stream = std::make_shared<FakeSubscriber>();
  const std::string id = journal_->Open(InfoOf("payroll"), stream);
  stream->Set(At(1));
  const absl::Duration age =
      ToDuration(journal_->List(1).subscribers(0).lag_age());
  EXPECT_GE(age, absl::Hours(1));
  EXPECT_LE(age, absl::Hours(3));
  journal_->Close(id);
}

}  // namespace
}  // namespace waggle
