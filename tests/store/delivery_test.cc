// The delivery log and the journal in SQLite, beyond what every store promises:
// how they share the space, what is left of a process that was killed, and how
// much of a large log one call looks at.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/sqlite_harness.h"
#include "waggle/v1/delivery_service.pb.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SqliteDeliveryTest : public SqliteStoreTest {
 protected:
  // Rows as the store would have written them, in no time.
  void FillLog(int rows) {
    Tamper(absl::StrCat(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < ",
        rows, ") INSERT INTO deliveries SELECT i, ",
        absl::ToUnixMicros(clock_.Now()), ", ",
        absl::ToUnixMicros(clock_.Now()),
        ", 3, 401, 'bindbee', '', '192.0.2.7', 700, 100, 20, NULL, '', NULL, "
        "NULL, '', '', "
        "'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 0 FROM n"));
  }

  DeliveryPage MustList(const v1::DeliveryFilter& filter, uint64_t before,
                        size_t max) {
    auto page = store_->ListDeliveries(filter, before, max);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : DeliveryPage();
  }

  // How many deliveries each page has, to the end.
  std::vector<size_t> CountByPage(const v1::DeliveryFilter& filter) {
    std::vector<size_t> counts;
    for (uint64_t before = UINT64_MAX; before != 0;) {
      const DeliveryPage page = MustList(filter, before, 10);
      counts.push_back(page.deliveries.size());
      before = page.next_before;
    }
    return counts;
  }

  std::vector<uint64_t> IdsOf(uint64_t sequence) {
    const auto deliveries = store_->DeliveriesOf(Sequence(sequence), 10);
    EXPECT_TRUE(deliveries.ok()) << deliveries.status();
    std::vector<uint64_t> ids;
    if (!deliveries.ok()) return ids;
    for (const v1::Delivery& delivery : *deliveries) {
      ids.push_back(delivery.id());
    }
    return ids;
  }
};

TEST_F(SqliteDeliveryTest, TheLogDoesNotDriveEventsOut) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  Close();
  FillLog(50'000);
  Open();
  const uint64_t full = store_->Bounds().size_bytes;
  ASSERT_GT(full, 8'000'000u);
  ASSERT_TRUE(store_->Trim({.max_bytes = 4'000'000}).ok());
  EXPECT_LE(store_->Bounds().size_bytes, 4'000'000u);
  EXPECT_EQ(ReadAll().size(), 100u);
  // What is left of the log is the newest of it.
  EXPECT_THAT(MustList({}, UINT64_MAX, 1).deliveries.front().id(), 50'000u);
}

TEST_F(SqliteDeliveryTest, EventsDoNotDriveTheLogOut) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  Close();
  FillLog(100);
  Open();
  ASSERT_TRUE(store_->Trim({.max_bytes = 1'000'000}).ok());
  EXPECT_LE(store_->Bounds().size_bytes, 1'000'000u);
  EXPECT_LT(ReadAll().size(), 50u);
  EXPECT_EQ(MustList({}, UINT64_MAX, 1000).deliveries.size(), 100u);
}

TEST_F(SqliteDeliveryTest, CommitsAreForgottenWithTheirDeliveries) {
  Open();
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  Close();
  for (uint64_t n = 1; n <= 20; ++n) {
    Open();
    ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(n))).ok());
    ASSERT_TRUE(store_->TrimDeliveries({.max_records = 5}).ok());
    Close();
  }
  EXPECT_EQ(QueryInt("SELECT id FROM deliveries"), 1);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM accepted_deliveries"), 5);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM delivery_commits"), 5);
}

TEST_F(SqliteDeliveryTest, CommitsWithoutDeliveriesCountForNothing) {
  Open();
  for (uint64_t n = 1; n <= 5; ++n) {
    ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(n))).ok());
  }
  Close();
  // As a kill leaves it while what is old is removed.
  Tamper(
      "UPDATE meta SET last_delivery_id = 5; DELETE FROM accepted_deliveries");
  Open();
  for (uint64_t n = 6; n <= 8; ++n) {
    ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(n))).ok());
  }
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 3}).ok());
  EXPECT_EQ(MustList({}, UINT64_MAX, 10).deliveries.size(), 3u);
  Close();
  EXPECT_EQ(QueryInt("SELECT count(*) FROM delivery_commits"), 3);
}

TEST_F(SqliteDeliveryTest, CommitsWithoutDeliveriesDoNotDriveEventsOut) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  Close();
  Tamper(
      "UPDATE meta SET last_delivery_id = 100000; "
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      "WHERE i < 100000) INSERT INTO delivery_commits SELECT i, i, 900 "
      "FROM n");
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(101))).ok());
  Open();
  ASSERT_GT(store_->Bounds().size_bytes, 3'500'000u);
  ASSERT_TRUE(store_->Trim({.max_bytes = 3'000'000}).ok());
  EXPECT_LE(store_->Bounds().size_bytes, 3'000'000u);
  EXPECT_EQ(ReadAll().size(), 101u);
  EXPECT_EQ(MustList({}, UINT64_MAX, 10).deliveries.size(), 1u);
}

TEST_F(SqliteDeliveryTest, OneCallLooksAtABoundedPartOfTheLog) {
  Open();
  Close();
  FillLog(250'000);
  Tamper("UPDATE deliveries SET endpoint = 'other' WHERE id = 5");
  Open();
  v1::DeliveryFilter filter;
  filter.add_endpoints("other");
  EXPECT_THAT(CountByPage(filter), ElementsAre(0, 0, 1));
  // The time tells where to begin and where to end.
  filter.mutable_since()->set_seconds(
      absl::ToUnixSeconds(clock_.Now() + absl::Hours(2)));
  EXPECT_EQ(MustList(filter, UINT64_MAX, 10).next_before, 0u);
}

TEST_F(SqliteDeliveryTest, IdsThatAreMissingCostNoCalls) {
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(1))).ok());
  Close();
  Tamper("UPDATE meta SET last_delivery_id = 5000000");
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(2))).ok());
  const DeliveryPage page = MustList({}, UINT64_MAX, 10);
  ASSERT_EQ(page.deliveries.size(), 2u);
  EXPECT_EQ(page.deliveries[0].id(), 5'000'001u);
  EXPECT_EQ(page.next_before, 0u);
  EXPECT_THAT(IdsOf(2), ElementsAre(5'000'001));
  EXPECT_THAT(IdsOf(3), IsEmpty());
  EXPECT_THAT(IdsOf(UINT64_MAX), IsEmpty());
}

TEST_F(SqliteDeliveryTest, OneCallLooksAtABoundedPartOfAnEventsDuplicates) {
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(1))).ok());
  Close();
  FillLog(250'000);
  Tamper(
      "UPDATE accepted_deliveries SET first_id = 300000, last_id = 300000; "
      "UPDATE deliveries SET outcome = 2, http_status = 200, sequence = 1, "
      "event_id = (SELECT id FROM events), endpoint = iif(id = 5, 'other', "
      "'bindbee')");
  Open();
  v1::DeliveryFilter filter;
  filter.add_event_ids(EventId(1));
  filter.add_endpoints("other");
  EXPECT_THAT(CountByPage(filter), ElementsAre(0, 0, 1));
}

TEST_F(SqliteDeliveryTest, AStreamThatWasKilledWithItsGatewayIsOver) {
  Open();
  for (uint64_t n = 1; n <= 2; ++n) {
    ASSERT_TRUE(store_->RecordStream(StreamOf(EventId(n), clock_.Now())));
  }
  ASSERT_TRUE(
      store_->RecordProgress({{EventId(1), Sequence(7), clock_.Now()}}));
  clock_.Advance(absl::Hours(1));
  Open();
  const auto handovers = store_->Handovers(Sequence(7), absl::UnixEpoch(),
                                           absl::InfiniteFuture(), 10);
  ASSERT_TRUE(handovers.ok()) << handovers.status();
  ASSERT_EQ(handovers->size(), 2u);
  for (const StreamHandover& handover : *handovers) {
    EXPECT_EQ(handover.stream.ended_at, clock_.Now());
  }
  EXPECT_EQ((*handovers)[0].handed_over_at, absl::InfiniteFuture());
  EXPECT_EQ((*handovers)[1].handed_over_at, clock_.Now() - absl::Hours(1));
  // It was not there any more.
  EXPECT_TRUE(
      store_->Handovers(Sequence(7), clock_.Now(), absl::InfiniteFuture(), 10)
          ->empty());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_->TrimDeliveries({.max_age = absl::Minutes(30)}).ok());
  EXPECT_TRUE(store_
                  ->Handovers(Sequence(7), absl::UnixEpoch(),
                              absl::InfiniteFuture(), 10)
                  ->empty());
}

TEST_F(SqliteDeliveryTest, FindsWhatAStreamWasHandedBehindTheProgressOfMany) {
  Open();
  Close();
  Tamper(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
      "i < 100000) INSERT INTO stream_progress SELECT i, 99, 1, 0 FROM n");
  Open();
  ASSERT_TRUE(store_->RecordStream(StreamOf(EventId(1), clock_.Now())));
  const absl::Time at = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(store_->RecordProgress(
      {{EventId(1), Sequence(7), at},
       {EventId(1), Sequence(8), at + absl::Seconds(1)}}));
  ASSERT_TRUE(TryAppend(*store_, NumberedEvent(1)).ok());
  const auto handed_over_at = [&](uint64_t sequence) {
    const auto handovers = store_->Handovers(
        Sequence(sequence), absl::UnixEpoch(), absl::InfiniteFuture(), 10);
    return handovers->front().handed_over_at;
  };
  EXPECT_EQ(handed_over_at(1), at);
  EXPECT_EQ(handed_over_at(8), at + absl::Seconds(1));
  EXPECT_EQ(handed_over_at(9), absl::InfiniteFuture());
}

TEST_F(SqliteDeliveryTest, FiltersOfStreamsDoNotDriveEventsOut) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  for (uint64_t n = 1; n <= 50; ++n) {
    StreamRecord stream = StreamOf(EventId(n), clock_.Now());
    stream.filters = std::string(60'000, 'f');
    ASSERT_TRUE(store_->RecordStream(stream));
    stream.ended_at = clock_.Now();
    ASSERT_TRUE(store_->RecordStream(stream));
  }
  ASSERT_TRUE(TryAppend(*store_, NumberedEvent(101)).ok());
  ASSERT_GT(store_->Bounds().size_bytes, 5'000'000u);
  ASSERT_TRUE(store_->Trim({.max_bytes = 4'000'000}).ok());
  EXPECT_LE(store_->Bounds().size_bytes, 4'000'000u);
  EXPECT_EQ(ReadAll().size(), 101u);
}

TEST_F(SqliteDeliveryTest, FiltersOfStreamsAreBounded) {
  Open();
  Close();
  Tamper(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
      "i < 1200) INSERT INTO streams SELECT i, randomblob(16), '', '', 0, 0, "
      "0, "
      "i, i, zeroblob(60000) FROM n");
  Open();
  ASSERT_TRUE(store_->TrimDeliveries({}).ok());
  Close();
  constexpr int64_t kMost = 64 << 20;
  const int64_t left = QueryInt("SELECT sum(length(filters)) FROM streams");
  EXPECT_LE(left, kMost);
  EXPECT_GT(left, kMost - 200'000);
  EXPECT_EQ(QueryInt("SELECT max(gone_at) FROM streams"), 1200);
}

TEST_F(SqliteDeliveryTest, RefusesAStreamWhoseIdIsNoUuid) {
  Open();
  EXPECT_FALSE(store_->RecordStream(StreamOf("no uuid", clock_.Now())));
}

TEST_F(SqliteDeliveryTest, OperatorsCanReadTheLog) {
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(1))).ok());
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  Close();
  EXPECT_EQ(QueryInt("SELECT count(*) FROM deliveries WHERE outcome = 3 AND "
                     "sequence IS NULL"),
            1);
  // With how long the commit took.
  EXPECT_EQ(QueryInt("SELECT count(*) FROM accepted_deliveries "
                     "JOIN delivery_commits USING (first_id, last_id) "
                     "WHERE first_id = 1 AND first_sequence = 1"),
            1);
  auto db = sqlite::Database::Open(DatabasePath(), sqlite::OpenMode::kReadOnly);
  ASSERT_TRUE(db.ok()) << db.status();
  const auto bytes =
      db->QueryText("SELECT deliveries FROM accepted_deliveries");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  v1::ListDeliveriesResponse list;
  ASSERT_TRUE(list.ParseFromString(*bytes));
  ASSERT_EQ(list.deliveries_size(), 1);
  EXPECT_EQ(list.deliveries(0).endpoint(), "bindbee");
  EXPECT_EQ(list.deliveries(0).outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  EXPECT_EQ(list.deliveries(0).event_id(), EventId(1));
}

TEST_F(SqliteDeliveryTest, WhatOthersMadeOfAcceptedDeliveriesIsNotBelieved) {
  uint64_t n = 0;
  for (const char* bytes : {"x''", "x'ff'", "zeroblob(100)"}) {
    Open();
    ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(++n))).ok());
    Close();
    Tamper(absl::StrCat("UPDATE accepted_deliveries SET deliveries = ", bytes));
    Open();
    EXPECT_TRUE(absl::IsDataLoss(store_->ReadDelivery(n).status())) << bytes;
    EXPECT_TRUE(
        absl::IsDataLoss(store_->ListDeliveries({}, UINT64_MAX, 10).status()));
    EXPECT_TRUE(
        absl::IsDataLoss(store_->DeliveriesOf(Sequence(n), 10).status()));
    // It goes as others do.
    ASSERT_TRUE(store_->TrimDeliveries({.max_records = 0}).ok());
    EXPECT_TRUE(MustList({}, UINT64_MAX, 10).deliveries.empty());
  }
}

TEST_F(SqliteDeliveryTest, WhatAnOlderSchemaKeptIsFoundAndGoes) {
  MakeDatabase(2);
  // Accepted, a duplicate of that, refused, accepted.
  Tamper(absl::StrCat(
      "INSERT INTO deliveries SELECT column1, ",
      absl::ToUnixMicros(clock_.Now()), ", ", absl::ToUnixMicros(clock_.Now()),
      ", column2, 200, 'bindbee', '', '192.0.2.7', 700, 100, 20, 5, '', "
      "column3, column4, '', '', '', 0 FROM (VALUES (1, 1, 1, zeroblob(16)), "
      "(2, 2, 1, zeroblob(16)), (3, 3, NULL, NULL), (4, 1, 2, "
      "zeroblob(16))); INSERT INTO delivery_commits VALUES (1, 2, 900, 1, 2), "
      "(4, 4, 800, 2, 3); INSERT INTO sqlite_sequence VALUES ('events', 2)"));
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(3))).ok());
  EXPECT_EQ(MustList({}, UINT64_MAX, 10).deliveries.size(), 5u);
  EXPECT_THAT(IdsOf(1), ElementsAre(1, 2));
  EXPECT_THAT(IdsOf(2), ElementsAre(4));
  EXPECT_THAT(IdsOf(3), ElementsAre(5));
  EXPECT_EQ(store_->ReadDelivery(4)->commit_duration().nanos(), 805'000);
  Open();
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 3}).ok());
  EXPECT_THAT(IdsOf(1), ElementsAre(2));
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 1}).ok());
  EXPECT_THAT(IdsOf(2), IsEmpty());
  EXPECT_THAT(IdsOf(3), ElementsAre(5));
  EXPECT_EQ(MustList({}, UINT64_MAX, 10).deliveries.size(), 2u);
  Close();
  EXPECT_EQ(QueryInt("SELECT min(first_id) FROM delivery_commits"), 5);
}

// What kills leave of the commits: a condition on those that are lost.
class SqliteLostCommitsTest : public SqliteDeliveryTest,
                              public testing::WithParamInterface<const char*> {
};

INSTANTIATE_TEST_SUITE_P(Kills, SqliteLostCommitsTest,
                         testing::Values("TRUE", "last_id <= 3",
                                         "last_id BETWEEN 8 AND 12",
                                         "last_id > 17", "FALSE"));

TEST_P(SqliteLostCommitsTest, DeliveriesAreFoundAndCountedAllTheSame) {
  Open();
  for (uint64_t n = 1; n <= 20; ++n) {
    ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(n))).ok());
  }
  Close();
  ASSERT_EQ(QueryInt("SELECT count(*) FROM delivery_commits"), 20);
  Tamper(absl::StrCat("DELETE FROM delivery_commits WHERE ", GetParam()));
  Open();
  for (uint64_t n = 1; n <= 20; ++n) EXPECT_THAT(IdsOf(n), ElementsAre(n));
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 6}).ok());
  EXPECT_THAT(IdsOf(14), IsEmpty());
  EXPECT_THAT(IdsOf(15), ElementsAre(15));
  Open();
  ASSERT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(21))).ok());
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 6}).ok());
  EXPECT_EQ(MustList({}, UINT64_MAX, 100).deliveries.size(), 6u);
  EXPECT_THAT(IdsOf(21), ElementsAre(21));
}

}  // namespace
}  // namespace waggle
