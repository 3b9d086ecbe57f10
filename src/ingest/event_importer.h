// Puts events that came out of one store, with their payloads, into another:
// ids, order and times stay, sequences are new. The store takes them for
// deliveries that arrived then, so that what Bindbee repeats later is still a
// duplicate.
//
//   EventImporter importer(store, options);
//   for (...) if (!importer.Import(event).ok()) ...
//   absl::StatusOr<uint64_t> events = importer.Finish();
#ifndef WAGGLE_INGEST_EVENT_IMPORTER_H_
#define WAGGLE_INGEST_EVENT_IMPORTER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "ingest/identity.h"
#include "store/event_store.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

// For one thread.
class EventImporter {
 public:
  // The store must have been started and must outlive the importer. The options
  // should be those of the gateway that will use it.
  EventImporter(EventStore& store, IdentityOptions options)
      : store_(store), options_(options) {}
  // Waits for what is under way.
  ~EventImporter();

  // Hands the event to the store; blocks while much waits there. Errors:
  //   INVALID_ARGUMENT  this is not an event with all that it needs
  //   ALREADY_EXISTS    the store takes this or an earlier event for a
  //                     duplicate; the message names both
  //   others            of EventStore::Append, for an earlier one
  absl::Status Import(v1::Event event);

  // Returns once all of them are durable: how many. The first error, if there
  // was one.
  absl::StatusOr<uint64_t> Finish();

 private:
  void OnDone(const std::string& id, size_t bytes,
              absl::StatusOr<Appended> appended);
  // Until no more than this waits.
  absl::Status WaitFor(size_t events, size_t bytes);

  EventStore& store_;
  const IdentityOptions options_;

  Mutex mu_;
  CondVar done_;
  size_t waiting_events_ ABSL_GUARDED_BY(mu_) = 0;
  size_t waiting_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t stored_ ABSL_GUARDED_BY(mu_) = 0;
  // The first error.
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_INGEST_EVENT_IMPORTER_H_
