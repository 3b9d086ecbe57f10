// Opens streams of events, whatever door they are asked for at: checks the
// request, judges its caller's rights, finds where to start. The contract is
// Subscribe's in proto/waggle/v1/event_service.proto.
//
//   streams.Open(request, admission, stream);   // begins it, or refuses it
#ifndef WAGGLE_API_EVENT_STREAMS_H_
#define WAGGLE_API_EVENT_STREAMS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/event_stream.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/thread_pool.h"
#include "event/filter.h"
#include "event/sequence.h"
#include "store/event_store.h"
#include "stream/event_hub.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

// Thread-safe.
class EventStreams {
 public:
  struct Options {
    // InfiniteDuration is never.
    absl::Duration max_stream_age = absl::Minutes(30);
    FilterLimits filters;
  };

  // `readers` runs whatever blocks on the store. All must outlive the streams
  // that it opens.
  EventStreams(EventStore& store, EventHub& hub, ThreadPool& readers,
               StreamRegistry& registry, SubscriberJournal& journal,
               const Options& options);

  // What a stream behind this gate is to be made with.
  StreamBackends BackendsOf(Gate& gate) {
    return {hub_, registry_, journal_, gate};
  }

  // Begins the stream, now or once its start is found, or refuses it. `gate`
  // and `method` are those that let it in.
  void Open(const v1::SubscribeRequest& request, const Admission& admission,
            Gate& gate, std::string_view method,
            const std::shared_ptr<EventStream>& stream);

  // The position that a cursor of this store stands for; an error of the
  // contract.
  absl::StatusOr<Sequence> PositionOf(const std::string& cursor_text) const;
  // The position before `since`; blocks on the store.
  absl::StatusOr<Sequence> PositionBefore(
      const google::protobuf::Timestamp& since);

  // What is wrong with the filters and the time that a request starts at.
  std::vector<FieldViolation> CheckFilters(const Filter::Protos& filters) const;
  static void CheckSince(const google::protobuf::Timestamp& since,
                         std::vector<FieldViolation>& violations);

 private:
  std::vector<FieldViolation> Check(const v1::SubscribeRequest& request) const;
  // Refused if not OK.
  absl::Status TryOpen(const v1::SubscribeRequest& request,
                       const Admission& admission, Gate& gate,
                       std::string_view method,
                       const std::shared_ptr<EventStream>& stream);

  EventStore& store_;
  EventHub& hub_;
  ThreadPool& readers_;
  StreamRegistry& registry_;
  SubscriberJournal& journal_;
  const Options options_;
};

}  // namespace waggle

#endif  // WAGGLE_API_EVENT_STREAMS_H_
