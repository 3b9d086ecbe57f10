// Which files the store opens, and what it does to those that it does not.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/sqlite/schema.h"
#include "tests/store/sqlite_harness.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using SqliteOpenTest = SqliteStoreTest;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

void WriteFile(const fs::path& path, std::string_view contents) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << contents;
}

// All files but the lock, with what is in them.
std::map<std::string, std::string> Snapshot(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename() == "lock") continue;
    files[entry.path().filename()] = ReadFile(entry.path());
  }
  return files;
}

TEST_F(SqliteOpenTest, MakesItsDirectory) {
  options_.directory = directory_.File("some/where/else");
  Open();
  EXPECT_TRUE(TryAppend(*store_, NumberedEvent(1)).ok());
  EXPECT_TRUE(fs::exists(DatabasePath()));
  // What it holds is personal data.
  EXPECT_EQ(
      fs::status(options_.directory).permissions() & fs::perms::others_all,
      fs::perms::none);
}

TEST_F(SqliteOpenTest, RefusesALogWithoutItsDatabase) {
  const std::string log = DatabasePath() + "-wal";
  WriteFile(log, "what a crash left");
  const absl::Status status = TryOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(log));
  EXPECT_EQ(ReadFile(log), "what a crash left");
  EXPECT_FALSE(fs::exists(DatabasePath()));
}

TEST_F(SqliteOpenTest, SaysWhichDirectoryItCannotMake) {
  WriteFile(directory_.File("file"), "");
  options_.directory = directory_.File("file/data");
  const absl::Status status = TryOpen();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("file"));
}

TEST_F(SqliteOpenTest, MakesTheDatabaseAsItMustBe) {
  Open();
  Close();
  EXPECT_EQ(QueryInt("PRAGMA application_id"), kApplicationId);
  EXPECT_EQ(QueryInt("PRAGMA user_version"), SchemaVersion());
  EXPECT_EQ(QueryInt("PRAGMA page_size"), kPageSize);
  EXPECT_EQ(QueryInt("PRAGMA auto_vacuum"), 2);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM pragma_journal_mode "
                     "WHERE journal_mode = 'wal'"),
            1);
  EXPECT_EQ(QueryInt("SELECT min(strict) FROM pragma_table_list "
                     "WHERE name NOT LIKE 'sqlite%'"),
            1);
}

TEST_F(SqliteOpenTest, LeavesACompleteFileWhenClosed) {
  Open();
  AppendNumbered(*store_, 1, 10);
  Close();
  // The log is part of the database by now.
  const fs::path wal = DatabasePath() + "-wal";
  EXPECT_TRUE(!fs::exists(wal) || fs::file_size(wal) == 0);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM events"), 10);
}

TEST_F(SqliteOpenTest, CanBeReadByOperatorsMeanwhile) {
  Open();
  AppendNumbered(*store_, 1, 10);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM events"), 10);
  AppendNumbered(*store_, 11, 20);
  EXPECT_EQ(QueryInt("SELECT max(seq) FROM events"), 20);
}

TEST_F(SqliteOpenTest, RefusesADirectoryInUse) {
  Open();
  const auto second =
      SqliteEventStore::Open(options_, clock_, metrics_, [](absl::Status) {});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("in use by another process"));
  EXPECT_TRUE(TryAppend(*store_, NumberedEvent(1)).ok());
  store_->Close();
  EXPECT_TRUE(
      SqliteEventStore::Open(options_, clock_, metrics_, [](absl::Status) {
      }).ok());
}

TEST_F(SqliteOpenTest, RefusesADatabaseThatIsNewer) {
  Open();
  AppendNumbered(*store_, 1, 3);
  Close();
  Tamper(absl::StrCat("PRAGMA user_version=", SchemaVersion() + 1));
  const auto before = Snapshot(options_.directory);
  const absl::Status status = TryOpen();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer"));
  EXPECT_EQ(Snapshot(options_.directory).at("events.db"),
            before.at("events.db"));
}

TEST_F(SqliteOpenTest, LeavesFilesThatAreNotOursAlone) {
  const std::string sqlite_of_others = directory_.File("others.db");
  {
    auto db =
        sqlite::Database::Open(sqlite_of_others, sqlite::OpenMode::kCreate);
    ASSERT_TRUE(db.ok());
    ASSERT_TRUE(db->Execute("PRAGMA journal_mode=WAL; PRAGMA application_id=7; "
                            "CREATE TABLE events (seq);")
                    .ok());
    ASSERT_TRUE(db->Checkpoint(sqlite::CheckpointMode::kTruncate).ok());
  }
  int n = 0;
  for (const std::string& contents :
       {ReadFile(sqlite_of_others), std::string(), std::string("notes\n"),
        std::string(100'000, 'x'), std::string("SQLite format 3\0", 16)}) {
    options_.directory = directory_.File(absl::StrCat("data", n++));
    WriteFile(DatabasePath(), contents);
    const absl::Status status = TryOpen();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("left alone"));
    EXPECT_EQ(Snapshot(options_.directory),
              (std::map<std::string, std::string>{{"events.db", contents}}));
  }
}

TEST_F(SqliteOpenTest, BeginsAnewAfterACrashWhileTheDatabaseWasMade) {
  WriteFile(DatabasePath() + ".new", "half of a datab");
  WriteFile(DatabasePath() + ".new-journal", "and its journal");
  Open();
  EXPECT_TRUE(TryAppend(*store_, NumberedEvent(1)).ok());
}

TEST_F(SqliteOpenTest, RefusesTablesThatWereChanged) {
  for (const char* change : {
           "DROP INDEX events_by_retained_key",
           "CREATE INDEX more ON events (crc)",
           "ALTER TABLE events ADD COLUMN more INTEGER",
           "CREATE TABLE more (x)",
           "CREATE VIEW more AS SELECT 1",
           "CREATE TRIGGER more AFTER INSERT ON events BEGIN "
           "DELETE FROM meta; END",
       }) {
    options_.directory =
        directory_.File(std::to_string(std::hash<std::string>{}(change)));
    Open();
    AppendNumbered(*store_, 1, 3);
    Close();
    Tamper(change);
    const absl::Status status = TryOpen();
    EXPECT_TRUE(absl::IsDataLoss(status)) << change << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("schema")) << change;
  }
}

TEST_F(SqliteOpenTest, AcceptsStatisticsOfTheQueryPlanner) {
  Open();
  AppendNumbered(*store_, 1, 3);
  Close();
  Tamper("ANALYZE");
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(SqliteOpenTest, FindsChangedRowsByTheirChecksum) {
  for (const char* change : {
           "UPDATE events SET event = zeroblob(length(event)) WHERE seq = 7",
           "UPDATE events SET payload = x'00' WHERE seq = 7",
           "UPDATE events SET crc = crc + 1 WHERE seq = 7",
       }) {
    options_.directory =
        directory_.File(std::to_string(std::hash<std::string>{}(change)));
    Open();
    AppendNumbered(*store_, 1, 10, /*payload_size=*/100);
    Close();
    Tamper(change);
    const absl::Status status = TryOpen();
    EXPECT_TRUE(absl::IsDataLoss(status)) << change << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("sequence 7"));
  }
}

TEST_F(SqliteOpenTest, FindsDamagedPages) {
  Open();
  AppendNumbered(*store_, 1, 3000, /*payload_size=*/500);
  Close();
  {
    std::fstream file(DatabasePath(),
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(40 * kPageSize);  // of old events
    file << std::string(10 * kPageSize, '\x5a');
  }
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
  // Of a large database not every page is read at the start.
  options_.max_checked_bytes = 0;
  const absl::Status status = TryOpen();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(absl::IsDataLoss(
      store_->ReadPage({.max_events = 10'000, .max_bytes = 1 << 30}).status()));
}

TEST_F(SqliteOpenTest, BringsEveryOlderVersionUpToDate) {
  for (int version = 0; version < SchemaVersion(); ++version) {
    options_.directory = directory_.File(absl::StrCat("version", version));
    MakeDatabase(version);
    ASSERT_EQ(QueryInt("PRAGMA user_version"), version);
    Open();
    EXPECT_TRUE(TryAppend(*store_, NumberedEvent(1)).ok());
    Close();
    EXPECT_EQ(QueryInt("PRAGMA user_version"), SchemaVersion());
  }
}

TEST_F(SqliteOpenTest, AnUpgradeKeepsWhatIsThere) {
  Open();
  AppendNumbered(*store_, 1, 10, /*payload_size=*/100);
  const StoreId id = store_->id();
  const std::vector<StoredEventPtr> before = ReadAll();
  Close();
  // As the first version made it.
  Tamper(
      "DROP TABLE deliveries; DROP TABLE accepted_deliveries; "
      "DROP TABLE delivery_commits; DROP TABLE streams; "
      "DROP TABLE stream_progress; ALTER TABLE meta DROP COLUMN is_copy; "
      "ALTER TABLE meta DROP COLUMN last_delivery_id; PRAGMA user_version=1");
  Open();
  EXPECT_EQ(store_->id(), id);
  const std::vector<StoredEventPtr> after = ReadAll();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i]->sequence, before[i]->sequence);
    EXPECT_EQ(after[i]->stored_at, before[i]->stored_at);
    EXPECT_EQ(after[i]->event, before[i]->event);
    EXPECT_EQ(after[i]->payload, before[i]->payload);
  }
  EXPECT_EQ(TryAppend(*store_, Delivered(NumberedEvent(11)))->sequence,
            Sequence(11));
}

TEST_F(SqliteOpenTest, ABackupBecomesAStoreOfItsOwnOnce) {
  Open();
  AppendNumbered(*store_, 1, 10);
  const StoreId id = store_->id();
  Close();
  Tamper("UPDATE meta SET is_copy = 1");
  Open();
  const StoreId restored = store_->id();
  EXPECT_NE(restored, id);
  EXPECT_EQ(ReadAll().size(), 10u);
  Open();
  EXPECT_EQ(store_->id(), restored);
}

TEST_F(SqliteOpenTest, DoesNotReuseSequencesThatOthersRemoved) {
  Open();
  AppendNumbered(*store_, 1, 10);
  Close();
  Tamper("DELETE FROM events WHERE seq > 5");
  Open();
  EXPECT_EQ(store_->Bounds().last, Sequence(5));
  EXPECT_EQ(TryAppend(*store_, NumberedEvent(11))->sequence, Sequence(11));
}

}  // namespace
}  // namespace waggle
