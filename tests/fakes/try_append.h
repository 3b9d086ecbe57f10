// TryAppend: one append whose answer the test looks at, whatever it is.
#ifndef WAGGLE_TESTS_FAKES_TRY_APPEND_H_
#define WAGGLE_TESTS_FAKES_TRY_APPEND_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "store/event_store.h"
#include "tests/fakes/test_events.h"

namespace waggle {

// Returns once it is answered.
inline absl::StatusOr<Appended> TryAppend(EventStore& store, NewEvent event) {
  std::vector<NewEvent> one;
  one.push_back(std::move(event));
  return AppendAll(store, std::move(one)).front();
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_TRY_APPEND_H_
