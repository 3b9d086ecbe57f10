#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include "base/metrics.h"
#include "store/memory/memory_event_store.h"
#include "store/sqlite/sqlite_event_store.h"
#include "tests/contract/event_store_contract.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

template <typename Store>
OpenStore Opened(std::unique_ptr<Store> store) {
  DeliveryLog* const deliveries = store.get();
  return {std::move(store), deliveries};
}

class MemoryData final : public StoreData {
 public:
  OpenStore Open(const Clock& clock) override {
    return Opened(std::make_unique<MemoryEventStore>(clock));
  }
};

class SqliteData final : public StoreData {
 public:
  OpenStore Open(const Clock& clock) override {
    auto store =
        SqliteEventStore::Open({.directory = directory_.path(),
                                .readers = 2,
                                .dedup_window = kMaxWindow,
                                .min_free_bytes = 0,
                                .probe_interval = absl::Milliseconds(5)},
                               clock, metrics_, Die);
    if (!store.ok()) Die(store.status());
    return Opened(*std::move(store));
  }

 private:
  static void Die(absl::Status status) {
    std::cerr << status << std::endl;
    std::abort();
  }

  TempDir directory_;
  Metrics metrics_;
};

template <typename Data>
std::unique_ptr<StoreData> Make() {
  return std::make_unique<Data>();
}

}  // namespace

std::vector<StoreUnderTest> StoresUnderTest() {
  return {
      {.name = "Memory", .durable = false, .make = Make<MemoryData>},
      {.name = "Sqlite", .durable = true, .make = Make<SqliteData>},
  };
}

}  // namespace waggle
