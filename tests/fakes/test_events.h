// Events for tests of what stands above the store, numbered by the test.
#ifndef WAGGLE_TESTS_FAKES_TEST_EVENTS_H_
#define WAGGLE_TESTS_FAKES_TEST_EVENTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "store/event_store.h"
#include "tests/fakes/wake_flag.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// The id of the n-th event: a UUID.
inline std::string EventId(uint64_t n) {
  return absl::StrFormat("01990000-0000-7000-8000-%012x", n);
}

// The n-th event: `event` with its id. No two numbers are duplicates.
inline NewEvent NumberedEvent(uint64_t n, v1::Event event = {},
                              std::string payload = {}) {
  NewEvent made;
  made.id = EventId(n);
  event.set_id(made.id);
  made.received_at = absl::FromUnixSeconds(1'750'000'000);
  made.event = event.SerializeAsString();
  made.payload = std::move(payload);
  made.identity.digest = absl::StrCat("digest ", n);
  return made;
}

inline v1::Event EventOfConnector(std::string connector_id) {
  v1::Event event;
  event.mutable_connector()->set_id(std::move(connector_id));
  return event;
}

// Appends, and returns once all are answered: durable, and told to the tail.
inline std::vector<absl::StatusOr<Appended>> AppendAll(
    EventStore& store, std::vector<NewEvent> events) {
  struct Answers {
    WakeFlag complete;
    Mutex mu;
    size_t missing ABSL_GUARDED_BY(mu);
    std::vector<absl::StatusOr<Appended>> list ABSL_GUARDED_BY(mu);
  };
  const auto answers = std::make_shared<Answers>();
  {
    MutexLock lock(answers->mu);
    answers->missing = events.size();
    answers->list.resize(events.size());
  }
  for (size_t i = 0; i < events.size(); ++i) {
    store.Append(std::move(events[i]),
                 [answers, i](absl::StatusOr<Appended> appended) {
                   MutexLock lock(answers->mu);
                   answers->list[i] = std::move(appended);
                   if (--answers->missing == 0) answers->complete.Set();
                 });
  }
  if (!events.empty()) answers->complete.Wait();
  MutexLock lock(answers->mu);
  return answers->list;
}

// For events that the store takes.
inline Appended Append(EventStore& store, NewEvent event) {
  std::vector<NewEvent> one;
  one.push_back(std::move(event));
  return AppendAll(store, std::move(one)).front().value();
}

// Appends plain events with the numbers first to last.
inline void AppendNumbered(EventStore& store, uint64_t first, uint64_t last,
                           size_t payload_size = 0) {
  std::vector<NewEvent> events;
  for (uint64_t n = first; n <= last; ++n) {
    events.push_back(NumberedEvent(n, {}, std::string(payload_size, 'p')));
  }
  AppendAll(store, std::move(events));
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_TEST_EVENTS_H_
