#include "ingest/event_importer.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/memory/memory_event_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/test_events.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

v1::Event ExportedEvent(uint64_t n) {
  v1::Event event;
  event.set_id(EventId(n));
  event.set_sequence(n * 10);
  event.set_type(v1::EVENT_TYPE_SYNC_COMPLETED);
  event.set_endpoint("bindbee");
  event.mutable_sync()->set_id(EventId(n));
  event.mutable_received_at()->set_seconds(1'750'000'000);
  event.set_payload(absl::StrCat("body ", n));
  return event;
}

class EventImporterTest : public ::testing::Test {
 protected:
  EventImporterTest() { store_.Start(nullptr); }
  ~EventImporterTest() override { store_.Close(); }

  FakeClock clock_;
  MemoryEventStore store_{clock_};
};

TEST_F(EventImporterTest, KeepsIdsOrderTimesAndPayloads) {
  EventImporter importer(store_, {});
  for (const uint64_t n : {3, 1, 2}) {
    ASSERT_TRUE(importer.Import(ExportedEvent(n)).ok());
  }
  ASSERT_EQ(*importer.Finish(), 3u);
  const auto page = store_.ReadPage({.include_payload = true});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 3u);
  uint64_t sequence = 0;
  for (const uint64_t n : {3, 1, 2}) {
    const StoredEvent& stored = *(*page)[sequence++];
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(stored.event));
    EXPECT_EQ(event.id(), EventId(n));
    EXPECT_EQ(event.sequence(), sequence);
    EXPECT_EQ(event.received_at().seconds(), 1'750'000'000);
    EXPECT_EQ(stored.payload, absl::StrCat("body ", n));
    EXPECT_TRUE(event.payload().empty());
  }
}

TEST_F(EventImporterTest, ADuplicateIsAnErrorThatNamesBoth) {
  EventImporter importer(store_, {});
  ASSERT_TRUE(importer.Import(ExportedEvent(1)).ok());
  v1::Event again = ExportedEvent(1);
  again.set_id(EventId(2));
  importer.Import(again).IgnoreError();
  const absl::Status status = importer.Finish().status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(EventId(1)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(EventId(2)));
}

TEST_F(EventImporterTest, WhatIsADuplicateFollowsFromTheOptions) {
  EventImporter importer(store_, {.dedup_window = absl::Minutes(1),
                                  .dedup_syncs_while_retained = false});
  ASSERT_TRUE(importer.Import(ExportedEvent(1)).ok());
  v1::Event later = ExportedEvent(1);
  later.set_id(EventId(2));
  later.mutable_received_at()->set_seconds(1'750'000'060);
  ASSERT_TRUE(importer.Import(later).ok());
  EXPECT_EQ(*importer.Finish(), 2u);
}

TEST_F(EventImporterTest, RefusesWhatLacksSomething) {
  EventImporter importer(store_, {});
  v1::Event no_id = ExportedEvent(1);
  no_id.set_id("1");
  v1::Event no_endpoint = ExportedEvent(1);
  no_endpoint.clear_endpoint();
  v1::Event no_time = ExportedEvent(1);
  no_time.clear_received_at();
  v1::Event no_payload = ExportedEvent(1);
  no_payload.clear_payload();
  for (const v1::Event& event : {no_id, no_endpoint, no_time, no_payload}) {
    EXPECT_TRUE(absl::IsInvalidArgument(importer.Import(event)))
        << event.ShortDebugString();
  }
  EXPECT_EQ(*importer.Finish(), 0u);
}

TEST_F(EventImporterTest, TellsThatTheStoreRefused) {
  store_.Close();
  EventImporter importer(store_, {});
  importer.Import(ExportedEvent(1)).IgnoreError();
  EXPECT_TRUE(absl::IsUnavailable(importer.Finish().status()));
}

}  // namespace
}  // namespace waggle
