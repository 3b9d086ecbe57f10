#include "ingest/event_importer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "event/proto_time.h"
#include "store/sequence_field.h"
#include "store/uuid.h"

namespace waggle {
namespace {

// Less than a store refuses, and more than it commits at once.
constexpr size_t kMaxWaitingEvents = 1024;
constexpr size_t kMaxWaitingBytes = 16 << 20;

absl::Status Check(const v1::Event& event) {
  if (!PackUuid(event.id())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the event's id \"", event.id(), "\" is not a UUID in lower case"));
  }
  if (event.endpoint().empty()) {
    return absl::InvalidArgumentError("the event has no endpoint");
  }
  if (!event.has_received_at() || !IsValid(event.received_at())) {
    return absl::InvalidArgumentError("the event has no valid received_at");
  }
  // A body can be empty, but then it is no event that anybody knows.
  if (event.payload().empty() && !event.has_unrecognized()) {
    return absl::InvalidArgumentError(
        "the event has no payload, without which its repetitions cannot be "
        "known again: export with payloads, as `waggle export` does");
  }
  return absl::OkStatus();
}

}  // namespace

EventImporter::~EventImporter() { WaitFor(0, 0).IgnoreError(); }

absl::Status EventImporter::Import(v1::Event event) {
  WAGGLE_RETURN_IF_ERROR(Check(event));
  WAGGLE_RETURN_IF_ERROR(WaitFor(kMaxWaitingEvents - 1, kMaxWaitingBytes));

  NewEvent appending;
  appending.id = event.id();
  appending.received_at = ToTime(event.received_at());
  appending.payload = std::move(*event.mutable_payload());
  appending.identity = IdentityOf(
      event, DigestOf(event.endpoint(), appending.payload), options_);
  event.clear_payload();
  event.clear_sequence();
  appending.event.reserve(event.ByteSizeLong() + kMaxSequenceField);
  event.AppendToString(&appending.event);

  const size_t bytes = appending.event.size() + appending.payload.size();
  {
    MutexLock lock(mu_);
    ++waiting_events_;
    waiting_bytes_ += bytes;
  }
  store_.Append(std::move(appending), [this, bytes, id = event.id()](
                                          absl::StatusOr<Appended> appended) {
    OnDone(id, bytes, std::move(appended));
  });
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> EventImporter::Finish() {
  WAGGLE_RETURN_IF_ERROR(WaitFor(0, 0));
  MutexLock lock(mu_);
  return stored_;
}

void EventImporter::OnDone(const std::string& id, size_t bytes,
                           absl::StatusOr<Appended> appended) {
  absl::Status status = appended.status();
  if (appended.ok() && appended->duplicate) {
    status = absl::AlreadyExistsError(absl::StrCat(
        "the event ", id, " is a duplicate of the event ", appended->id,
        ", which comes before it: by the settings of ingest both are one "
        "delivery. Remove one of them, or import with the ingest settings "
        "(--config) under which both were stored"));
  }
  MutexLock lock(mu_);
  if (status.ok()) {
    ++stored_;
  } else if (status_.ok()) {
    status_ = std::move(status);
  }
  --waiting_events_;
  waiting_bytes_ -= bytes;
  done_.SignalAll();
}

absl::Status EventImporter::WaitFor(size_t events, size_t bytes) {
  MutexLock lock(mu_);
  while (waiting_events_ > events || waiting_bytes_ > bytes) done_.Wait(mu_);
  return status_;
}

}  // namespace waggle
