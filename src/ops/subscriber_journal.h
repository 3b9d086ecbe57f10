// The Subscribe streams: which are open and how far they are, the journal of
// which had been handed what, when, and the metrics of both. Knows no gRPC.
//
//   const std::string stream_id = journal.Open(info, stream);
//   ...                        // Tick() now and then
//   journal.Close(stream_id);
//
// Nothing here is on an event's way: the streams are asked how far they are,
// once a second and whenever somebody wants to know.
#ifndef WAGGLE_OPS_SUBSCRIBER_JOURNAL_H_
#define WAGGLE_OPS_SUBSCRIBER_JOURNAL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "event/filter.h"
#include "event/sequence.h"
#include "ops/position_times.h"
#include "security/access_control.h"
#include "store/delivery_log.h"
#include "store/event_store.h"
#include "stream/event_hub.h"
#include "waggle/v1/gateway_service.pb.h"

namespace waggle {

// Durations of deliveries on their way to the histogram, which takes a lock for
// each. For one thread at a time.
class DeliveryTimes {
 public:
  void Add(absl::Duration duration);
  void MoveTo(prometheus::Histogram& histogram);

  // The histogram's buckets, of which the last one has no bound.
  static constexpr std::array<double, 17> kBuckets = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
      0.5,    1,     2.5,    5,     10,   30,    60,   300};

 private:
  std::array<uint32_t, kBuckets.size() + 1> counts_{};
  double seconds_ = 0;
};

// How far a stream is.
struct SubscriberReport {
  // Everything up to here was handed over or did not match.
  Sequence position;
  // Everything up to here that matches was handed over, the last of it at
  // `handed_over_at`; the stream's start if nothing was.
  Sequence handed_through;
  absl::Time handed_over_at = absl::InfinitePast();
  // Events handed over since it was opened.
  uint64_t delivered = 0;
  // Since the last report.
  DeliveryTimes times;
};

// A stream, as the journal sees it. Thread-safe.
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  // Must not call the journal.
  virtual SubscriberReport Report() = 0;
};

// Who opened a stream, and for what.
struct SubscriberInfo {
  std::string principal;
  std::string remote_address;
  Filter::Protos filters;
  // The same, narrowed by the rights.
  Filter::Protos effective_filters;
  bool include_payload = false;
  // It ends once it has caught up: not a consumer whose lag matters.
  bool stops_when_caught_up = false;
  Sequence after;
};

// Thread-safe. Order of locks: record_mu_ -> a stream's; a stream's -> mu_ ->
// the log's. So mu_ is not held while a stream is asked.
class SubscriberJournal {
 public:
  // All must outlive the journal. Asks the store how far it was at some moments
  // of the past.
  SubscriberJournal(EventStore& store, const EventHub& hub, DeliveryLog& log,
                    const AccessControl& access, const Clock& clock,
                    Metrics& metrics);
  ~SubscriberJournal();

  // Adds a stream that begins. Returns its id.
  std::string Open(SubscriberInfo info, std::shared_ptr<Subscriber> stream);
  // Asks the stream for its last report, and lets it go. Unknown ids are
  // ignored.
  void Close(const std::string& stream_id);

  // Records what is new, at most once a second. For a ticker.
  void Tick();
  // Records it now. Without a tick to come, what the log refuses is lost.
  void Record();

  // The open streams, the furthest behind first, at most `max`.
  v1::ListSubscribersResponse List(size_t max);
  size_t open() const;

  // Refreshes what is only known at the moment of asking.
  void UpdateMetrics();

  // A stream has handed so many events to the transport.
  void CountDelivered(size_t events) {
    delivered_.Increment(static_cast<double>(events));
  }
  // How many all have.
  uint64_t delivered() const {
    return static_cast<uint64_t>(delivered_.Value());
  }

  const Clock& clock() const { return clock_; }

 private:
  // How many events a stream had been handed at a time; steady.
  struct Sample {
    absl::Time at;
    uint64_t delivered;
  };
  struct Entry {
    // Shared, so that it can be read without mu_.
    std::shared_ptr<const SubscriberInfo> info;
    absl::Time started_at;
    // Null once it is closed.
    std::shared_ptr<Subscriber> stream;
    absl::Time ended_at = absl::InfiniteFuture();
    // Its last one, once it is closed.
    SubscriberReport report;
    // Of the last ten seconds, and the one before.
    std::deque<Sample> samples;
    // What the log has.
    bool recorded = false;
    Sequence recorded_through;
  };
  // The streams of a principal, as metrics have them.
  struct Client {
    // Of the stream furthest behind, or of the one that closed last.
    Sequence position;
    // InfiniteFuture while one is open.
    absl::Time closed_at;
    // Both are null until the metrics are refreshed.
    prometheus::Gauge* lag_events = nullptr;
    prometheus::Gauge* lag_seconds = nullptr;
  };
  using Reports = std::vector<std::pair<std::string, SubscriberReport>>;

  // Asks all that are open.
  Reports Ask();
  static StreamRecord RecordOf(const std::string& stream_id, const Entry& entry,
                               bool open);
  void TakeSamples(const Reports& reports) ABSL_LOCKS_EXCLUDED(mu_);
  // How long ago the oldest event after the position was stored.
  absl::Duration LagAge(Sequence position) const ABSL_LOCKS_EXCLUDED(mu_);
  // The clients whose lag is known, with their positions; those that are gone
  // lose their series.
  std::vector<std::pair<std::string, Sequence>> UpdateClients(
      const Reports& reports) ABSL_LOCKS_EXCLUDED(mu_);
  void RemoveSeries(const std::string& principal);

  EventStore& store_;
  const EventHub& hub_;
  DeliveryLog& log_;
  const AccessControl& access_;
  const Clock& clock_;
  Metrics& metrics_;
  prometheus::Gauge& open_;
  prometheus::Counter& opened_;
  prometheus::Counter& delivered_;
  prometheus::Gauge& max_lag_;
  prometheus::Histogram& delivery_seconds_;

  Mutex record_mu_;
  absl::Time ticked_at_ ABSL_GUARDED_BY(record_mu_) = absl::InfinitePast();

  mutable Mutex mu_;
  // By stream id: what is open, and what has closed and is not recorded yet.
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);
  size_t open_count_ ABSL_GUARDED_BY(mu_) = 0;
  // About how much memory the closed ones take.
  size_t closed_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<std::string, Client> clients_ ABSL_GUARDED_BY(mu_);
  // Of what memory does not hold any more.
  PositionTimes position_times_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_OPS_SUBSCRIBER_JOURNAL_H_
