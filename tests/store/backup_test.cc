#include "store/sqlite/backup.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/sqlite/draft_directory.h"
#include "tests/store/sqlite_harness.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BackupTest : public SqliteStoreTest {
 protected:
  absl::StatusOr<BackupSummary> TryBackUp() {
    return BackUp(options_.directory, copy_,
                  [](std::string_view, uint64_t, uint64_t) { return true; });
  }

  // Makes the copy the store's data, as somebody who restores it does.
  void Restore() {
    Close();
    fs::remove_all(options_.directory);
    fs::create_directory(options_.directory);
    fs::copy_file(copy_, DatabasePath());
  }

  // Files beside the copy's place, whatever they are called.
  int FilesLeft() {
    int files = 0;
    for (const auto& entry :
         fs::directory_iterator(fs::path(copy_).parent_path())) {
      if (entry.is_regular_file()) ++files;
    }
    return files;
  }

  const std::string copy_ = directory_.File("copy.db");
};

TEST_F(BackupTest, HoldsEverythingAndBecomesAStoreOfItsOwn) {
  Open();
  AppendNumbered(*store_, 1, 500, /*payload_size=*/1000);
  const StoreId id = store_->id();
  const auto summary = TryBackUp();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->events, 500u);
  EXPECT_EQ(summary->bytes, fs::file_size(copy_));
  const std::vector<StoredEventPtr> before = ReadAll();

  Restore();
  Open();
  const std::vector<StoredEventPtr> after = ReadAll();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i]->event, before[i]->event);
    EXPECT_EQ(after[i]->payload, before[i]->payload);
  }
  EXPECT_NE(store_->id(), id);
  // Sequences go on, and are not given twice.
  EXPECT_EQ(Append(*store_, NumberedEvent(501)).sequence, Sequence(501));
  const StoreId restored = store_->id();
  Open();
  EXPECT_EQ(store_->id(), restored);
}

TEST_F(BackupTest, IsNotReplacedByALogThatWasLeftBesideIt) {
  Open();
  AppendNumbered(*store_, 1, 10);
  ASSERT_TRUE(TryBackUp().ok());
  Restore();
  const std::string log = DatabasePath() + "-wal";
  std::ofstream(log) << "what a crash left";
  const absl::Status status = TryOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(log));
  EXPECT_EQ(fs::file_size(log), 17u);
  fs::remove(log);
  Open();
  EXPECT_EQ(ReadAll().size(), 10u);
}

TEST_F(BackupTest, ShowsOneMomentWhileEventsAreStored) {
  Open();
  AppendNumbered(*store_, 1, 200);
  std::atomic<bool> enough = false;
  std::thread writer([&] {
    for (uint64_t n = 201; !enough; ++n) AppendNumbered(*store_, n, n);
  });
  const auto summary = TryBackUp();
  enough = true;
  writer.join();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_GE(summary->events, 200u);

  Restore();
  Open();
  const std::vector<StoredEventPtr> events = ReadAll();
  ASSERT_EQ(events.size(), summary->events);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]->sequence, Sequence(i + 1));
  }
}

TEST_F(BackupTest, WorksWithoutAGateway) {
  Open();
  AppendNumbered(*store_, 1, 3);
  Close();
  const auto summary = TryBackUp();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->events, 3u);
}

TEST_F(BackupTest, ReplacesNothing) {
  Open();
  ASSERT_TRUE(TryBackUp().ok());
  const auto size = fs::file_size(copy_);
  AppendNumbered(*store_, 1, 100, /*payload_size=*/1000);
  EXPECT_TRUE(absl::IsAlreadyExists(TryBackUp().status()));
  EXPECT_EQ(fs::file_size(copy_), size);
  EXPECT_EQ(FilesLeft(), 1);
}

TEST_F(BackupTest, FindsWhatIsNotWhatWasStored) {
  Open();
  AppendNumbered(*store_, 1, 10, /*payload_size=*/100);
  Close();
  Tamper("UPDATE events SET payload = x'00' WHERE seq = 7");
  const absl::Status status = TryBackUp().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("sequence 7"));
  EXPECT_EQ(FilesLeft(), 0);
}

TEST_F(BackupTest, FindsTablesThatAreNotOurs) {
  Open();
  Close();
  Tamper("DROP INDEX events_by_id");
  EXPECT_TRUE(absl::IsDataLoss(TryBackUp().status()));
  EXPECT_EQ(FilesLeft(), 0);
}

TEST_F(BackupTest, CanBeCancelledAtAnyTime) {
  Open();
  AppendNumbered(*store_, 1, 2000, /*payload_size=*/100);
  int calls = 0;
  int until = 0;
  absl::Status status;
  // Each time one call later, until it is through.
  do {
    calls = 0;
    ++until;
    status = BackUp(options_.directory, copy_,
                    [&](std::string_view, uint64_t, uint64_t) {
                      return ++calls < until;
                    })
                 .status();
    if (!status.ok()) {
      ASSERT_TRUE(absl::IsCancelled(status)) << status;
      ASSERT_EQ(FilesLeft(), 0);
    }
    // Not every one of the thousands.
    until += until / 2;
  } while (!status.ok());
  EXPECT_GT(calls, 3);
  EXPECT_EQ(FilesLeft(), 1);
}

TEST_F(BackupTest, SaysThatThereIsNoData) {
  EXPECT_TRUE(absl::IsNotFound(TryBackUp().status()));
}

using DraftDirectoryTest = SqliteStoreTest;

TEST_F(DraftDirectoryTest, IsNotForDataThatIsInUseOrHoldsEvents) {
  Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      DraftDirectory::Create(options_.directory).status()));
  AppendNumbered(*store_, 1, 1);
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_->Trim({.max_age = absl::Minutes(1)}).ok());
  ASSERT_TRUE(ReadAll().empty());
  Close();
  const absl::Status status =
      DraftDirectory::Create(options_.directory).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("events"));
}

TEST_F(DraftDirectoryTest, TakesThePlaceOfAnEmptyStore) {
  Open();
  const StoreId empty = store_->id();
  Close();
  const std::string data = options_.directory;
  StoreId filled;
  {
    auto draft = DraftDirectory::Create(data);
    ASSERT_TRUE(draft.ok()) << draft.status();
    options_.directory = draft->path();
    Open();
    AppendNumbered(*store_, 1, 3);
    filled = store_->id();
    Close();
    ASSERT_TRUE(draft->Publish().ok());
    ASSERT_TRUE(draft->Sync().ok());
  }
  options_.directory = data;
  EXPECT_FALSE(fs::exists(data + "/import"));
  Open();
  EXPECT_EQ(store_->id(), filled);
  EXPECT_NE(store_->id(), empty);
  EXPECT_EQ(ReadAll().size(), 3u);
}

TEST_F(DraftDirectoryTest, LeavesNothingIfItIsNotPublished) {
  const std::string data = options_.directory;
  {
    auto draft = DraftDirectory::Create(data);
    ASSERT_TRUE(draft.ok()) << draft.status();
    options_.directory = draft->path();
    Open();
    AppendNumbered(*store_, 1, 3);
    Close();
  }
  EXPECT_FALSE(fs::exists(data + "/import"));
  EXPECT_FALSE(fs::exists(data + "/events.db"));
}

}  // namespace
}  // namespace waggle
