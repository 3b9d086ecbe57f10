// What is particular to SqliteEventStore while all is well: its limits, its
// metrics, and how its files grow and shrink.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/sqlite_harness.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using SqliteRunningTest = SqliteStoreTest;

NewEvent Delivery(uint64_t n, std::string digest) {
  NewEvent event = NumberedEvent(n);
  event.identity.digest = std::move(digest);
  event.identity.window = absl::Minutes(10);
  return event;
}

TEST_F(SqliteRunningTest, ForgetsTheOldestIdentitiesBeyondItsLimit) {
  options_.max_windowed_identities = 2;
  Open();
  EXPECT_FALSE(TryAppend(*store_, Delivery(1, "a"))->duplicate);
  EXPECT_FALSE(TryAppend(*store_, Delivery(2, "b"))->duplicate);
  EXPECT_TRUE(TryAppend(*store_, Delivery(3, "a"))->duplicate);
  EXPECT_FALSE(TryAppend(*store_, Delivery(4, "c"))->duplicate);
  EXPECT_TRUE(TryAppend(*store_, Delivery(5, "b"))->duplicate);
  Open();
  EXPECT_TRUE(TryAppend(*store_, Delivery(6, "b"))->duplicate);
  EXPECT_TRUE(TryAppend(*store_, Delivery(7, "c"))->duplicate);
  EXPECT_FALSE(TryAppend(*store_, Delivery(8, "a"))->duplicate);
}

TEST_F(SqliteRunningTest, TheSameIdIsTheSameEvent) {
  Open();
  EXPECT_FALSE(TryAppend(*store_, Delivery(1, "a"))->duplicate);
  const absl::StatusOr<Appended> second = TryAppend(*store_, Delivery(1, "b"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->duplicate);
  EXPECT_EQ(second->sequence, Sequence(1));
  EXPECT_EQ(ReadAll().size(), 1u);
}

TEST_F(SqliteRunningTest, CountsCommits) {
  Open();
  AppendNumbered(*store_, 1, 1);
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("waggle_store_commit_events_count 1\n"));
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("waggle_store_commit_events_sum 1\n"));
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("waggle_store_commit_seconds_count 1\n"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("waggle_store_queue 0\n"));
}

TEST_F(SqliteRunningTest, TrimmedPagesAreUsedAgain) {
  Open();
  uint64_t n = 0;
  const auto fill = [&] {
    AppendNumbered(*store_, n + 1, n + 200, /*payload_size=*/20'000);
    n += 200;
    ASSERT_TRUE(store_->Trim({.max_bytes = 2 << 20}).ok());
    EXPECT_LE(store_->Bounds().size_bytes, uint64_t{2 << 20});
  };
  fill();
  Close();
  const uint64_t size = fs::file_size(DatabasePath());
  Open();
  for (int i = 0; i < 5; ++i) fill();
  Close();
  EXPECT_LE(fs::file_size(DatabasePath()), size + size / 2);
}

TEST_F(SqliteRunningTest, GivesSpaceBackWhenMuchIsFree) {
  Open();
  AppendNumbered(*store_, 1, 600, /*payload_size=*/100'000);
  ASSERT_TRUE(store_->Trim({.max_bytes = 1 << 20}).ok());
  Close();
  // Of 60 MB, what is left and what is kept for the next events.
  EXPECT_LE(fs::file_size(DatabasePath()), uint64_t{20 << 20});
}

TEST_F(SqliteRunningTest, AppendsGoOnWhileItTrims) {
  constexpr uint64_t kEvents = 20'000;
  Open();
  for (uint64_t n = 1; n <= kEvents; n += 4000) {
    AppendNumbered(*store_, n, n + 3999);
  }
  ASSERT_EQ(store_->Bounds().last, Sequence(kEvents));
  std::thread trimmer(
      [&] { EXPECT_TRUE(store_->Trim({.max_bytes = 1}).ok()); });
  uint64_t n = kEvents;
  while (store_->Bounds().trimmed_through < Sequence(kEvents)) {
    ++n;
    AppendNumbered(*store_, n, n);
  }
  trimmer.join();
  // Those events are at least 80 steps, and an append fits between any two. If
  // the first had to wait for all of them, it would be the only one.
  EXPECT_GE(n, kEvents + 2);
}

TEST_F(SqliteRunningTest, TheLogStaysBoundedWhileReadersPage) {
  constexpr uint64_t kMiB = 1 << 20;
  constexpr size_t kPayload = 256 << 10;
  Open();
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      Sequence after;
      while (!stop) {
        const auto page = store_->ReadPage({.after = after,
                                            .max_events = 16,
                                            .max_bytes = 8 << 20,
                                            .include_payload = true});
        ASSERT_TRUE(page.ok()) << page.status();
        after = page->empty() ? Sequence() : page->back()->sequence;
      }
    });
  }
  uint64_t largest = 0;
  for (uint64_t n = 1; n <= 800; n += 16) {  // 200 MiB in all
    AppendNumbered(*store_, n, n + 15, kPayload);
    largest = std::max(largest, fs::file_size(DatabasePath() + "-wal"));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_LE(largest, 128 * kMiB);
  Close();
  EXPECT_EQ(QueryInt("SELECT count(*) FROM events"), 800);
}

}  // namespace
}  // namespace waggle
