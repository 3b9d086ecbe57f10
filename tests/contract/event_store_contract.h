// What the contract suites run over. A new implementation of EventStore and
// DeliveryLog joins by a line in stores_under_test.cc, and has to pass as it
// is.
#ifndef WAGGLE_TESTS_CONTRACT_EVENT_STORE_CONTRACT_H_
#define WAGGLE_TESTS_CONTRACT_EVENT_STORE_CONTRACT_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/delivery_log.h"
#include "store/event_store.h"

namespace waggle {

// A store that is open: one object, by both its names.
struct OpenStore {
  std::unique_ptr<EventStore> events;
  DeliveryLog* deliveries = nullptr;
};

// The data of one store, empty at first.
class StoreData {
 public:
  virtual ~StoreData() = default;

  // Opens the store over the data; at most one at a time is open. `clock`
  // outlives it. Identities with windows of up to kMaxWindow are appended.
  virtual OpenStore Open(const Clock& clock) = 0;

  static constexpr absl::Duration kMaxWindow = absl::Minutes(10);
};

struct StoreUnderTest {
  // Letters only: it becomes part of the tests' names.
  std::string name;
  // Whether what was stored is there when the data is opened again.
  bool durable;
  std::function<std::unique_ptr<StoreData>()> make;

  friend void PrintTo(const StoreUnderTest& store, std::ostream* out) {
    *out << store.name;
  }
};

std::vector<StoreUnderTest> StoresUnderTest();

}  // namespace waggle

#endif  // WAGGLE_TESTS_CONTRACT_EVENT_STORE_CONTRACT_H_
