// What the tests of SqliteEventStore share.
#ifndef WAGGLE_TESTS_STORE_SQLITE_HARNESS_H_
#define WAGGLE_TESTS_STORE_SQLITE_HARNESS_H_

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/metrics.h"
#include "gtest/gtest.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/sqlite_event_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temp_dir.h"
#include "tests/fakes/test_events.h"
#include "tests/fakes/try_append.h"

namespace waggle {

// The event with what a door says of it.
inline NewEvent Delivered(NewEvent event) {
  event.delivery = std::make_shared<v1::Delivery>();
  event.delivery->set_endpoint("bindbee");
  return event;
}

inline v1::Delivery RefusedDelivery() {
  v1::Delivery delivery;
  delivery.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  return delivery;
}

inline StreamRecord StreamOf(std::string stream_id, absl::Time started_at) {
  StreamRecord stream;
  stream.stream_id = std::move(stream_id);
  stream.started_at = started_at;
  return stream;
}

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    options_.directory = directory_.File("data");
    options_.min_free_bytes = 0;
    options_.probe_interval = absl::Milliseconds(5);
  }

  absl::Status TryOpen() {
    Close();
    auto store = SqliteEventStore::Open(options_, clock_, metrics_,
                                        [this](absl::Status status) {
                                          MutexLock lock(mu_);
                                          fatal_ = std::move(status);
                                          failed_.Set();
                                        });
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    store_->Start([this](absl::Span<const StoredEventPtr> events) {
      MutexLock lock(mu_);
      told_ += events.size();
    });
    return absl::OkStatus();
  }

  void Open() {
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status;
  }

  void Close() {
    if (store_ != nullptr) store_->Close();
    store_.reset();
  }

  std::string DatabasePath() const { return options_.directory + "/events.db"; }

  // Runs SQL behind the store's back, while it is closed.
  void Tamper(const std::string& sql) {
    auto db =
        sqlite::Database::Open(DatabasePath(), sqlite::OpenMode::kReadWrite);
    ASSERT_TRUE(db.ok()) << db.status();
    const absl::Status status = db->Execute(sql);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(db->Checkpoint(sqlite::CheckpointMode::kTruncate).ok());
  }

  int64_t QueryInt(const std::string& sql) {
    auto db =
        sqlite::Database::Open(DatabasePath(), sqlite::OpenMode::kReadOnly);
    EXPECT_TRUE(db.ok()) << db.status();
    const absl::StatusOr<int64_t> result = db->QueryInt(sql);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : -1;
  }

  std::vector<StoredEventPtr> ReadAll() {
    auto page = store_->ReadPage({.after = store_->Bounds().trimmed_through,
                                  .max_events = 1'000'000,
                                  .max_bytes = 1 << 30,
                                  .include_payload = true});
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : std::vector<StoredEventPtr>();
  }

  // The deliveries that became events, newest first.
  std::vector<v1::Delivery> ReadAccepted() {
    v1::DeliveryFilter filter;
    filter.add_outcomes(v1::DELIVERY_OUTCOME_ACCEPTED);
    auto page = store_->ListDeliveries(filter, UINT64_MAX, 1'000'000);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? std::move(page->deliveries)
                     : std::vector<v1::Delivery>();
  }

  // With the tables of an older version, and nothing in them.
  void MakeDatabase(int version) {
    std::filesystem::create_directories(options_.directory);
    auto db = sqlite::Database::Open(DatabasePath(), sqlite::OpenMode::kCreate);
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE(
        db->Execute(absl::StrCat("PRAGMA page_size=", kPageSize,
                                 "; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA "
                                 "application_id=",
                                 kApplicationId))
            .ok());
    ASSERT_TRUE(Migrate(*db, version).ok());
  }

  size_t told() const {
    MutexLock lock(mu_);
    return told_;
  }
  absl::Status fatal() const {
    MutexLock lock(mu_);
    return fatal_;
  }

  TempDir directory_;
  FakeClock clock_;
  Metrics metrics_;
  SqliteOptions options_;
  WakeFlag failed_;  // on_fatal was called
  mutable Mutex mu_;
  absl::Status fatal_ ABSL_GUARDED_BY(mu_);
  size_t told_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<SqliteEventStore> store_;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_STORE_SQLITE_HARNESS_H_
