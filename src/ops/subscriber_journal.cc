#include "ops/subscriber_journal.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "event/proto_time.h"
#include "store/uuid.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

// A little less than a second, since ticks come four times in one.
constexpr absl::Duration kRecordPause = absl::Milliseconds(900);
constexpr absl::Duration kRateWindow = absl::Seconds(10);
// How long a principal without a stream is taken for a consumer that is down.
constexpr absl::Duration kClientMemory = absl::Hours(24);
constexpr char kLagEvents[] = "waggle_client_lag_events";
constexpr char kLagEventsHelp[] =
    "How many sequences a principal's stream that is furthest behind has yet "
    "to be sent or passed by; without an open one, the stream that closed "
    "last.";
constexpr char kLagSeconds[] = "waggle_client_lag_seconds";
constexpr char kLagSecondsHelp[] =
    "How long ago the oldest event was stored that a principal's stream "
    "furthest behind has yet to be sent or passed by; 0 if there is none.";
// Of streams that closed while the log takes nothing.
constexpr size_t kMaxUnrecordedBytes = 16 << 20;
// Of a list's filters: of one stream's, and of all.
constexpr size_t kMaxFilterBytes = 4 << 10;
constexpr size_t kMaxListedFilterBytes = 1 << 20;

// A UUID version 4.
std::string NewStreamId() {
  thread_local absl::BitGen random;
  Uuid uuid;
  for (uint8_t& byte : uuid) byte = absl::Uniform<uint8_t>(random);
  uuid[6] = static_cast<uint8_t>(0x40 | (uuid[6] & 0x0f));
  uuid[8] = static_cast<uint8_t>(0x80 | (uuid[8] & 0x3f));
  return UnpackUuid(uuid);
}

// What a store that was there before the process is asked about.
constexpr absl::Duration kPast[] = {
    absl::Hours(24 * 30), absl::Hours(24 * 14), absl::Hours(24 * 7),
    absl::Hours(24 * 4),  absl::Hours(24 * 2),  absl::Hours(24),
    absl::Hours(12),      absl::Hours(6),       absl::Hours(3),
    absl::Minutes(90),    absl::Minutes(45),    absl::Minutes(20),
    absl::Minutes(10),    absl::Minutes(5),     absl::Minutes(2),
    absl::Minutes(1),     absl::Seconds(30),    absl::Seconds(15),
    absl::ZeroDuration(),
};

// About how much memory the journal needs for such a stream.
size_t MemoryOf(const SubscriberInfo& info) {
  constexpr size_t kWithoutFilters = 1 << 10;
  return kWithoutFilters + info.filters.SpaceUsedExcludingSelfLong() +
         info.effective_filters.SpaceUsedExcludingSelfLong();
}

size_t SizeOf(const Filter::Protos& filters) {
  size_t size = 0;
  for (const v1::EventFilter& filter : filters) size += filter.ByteSizeLong();
  return size;
}

uint64_t Behind(Sequence position, Sequence last) {
  return position < last ? last.value() - position.value() : 0;
}

}  // namespace

void DeliveryTimes::Add(absl::Duration duration) {
  const double seconds = std::max(absl::ToDoubleSeconds(duration), 0.0);
  // As the histogram chooses: a bucket's bound belongs to it.
  const auto bucket =
      std::lower_bound(kBuckets.begin(), kBuckets.end(), seconds);
  ++counts_[static_cast<size_t>(bucket - kBuckets.begin())];
  seconds_ += seconds;
}

void DeliveryTimes::MoveTo(prometheus::Histogram& histogram) {
  if (std::all_of(counts_.begin(), counts_.end(),
                  [](uint32_t count) { return count == 0; })) {
    return;
  }
  histogram.ObserveMultiple({counts_.begin(), counts_.end()}, seconds_);
  *this = DeliveryTimes();
}

SubscriberJournal::SubscriberJournal(EventStore& store, const EventHub& hub,
                                     DeliveryLog& log,
                                     const AccessControl& access,
                                     const Clock& clock, Metrics& metrics)
    : store_(store),
      hub_(hub),
      log_(log),
      access_(access),
      clock_(clock),
      metrics_(metrics),
      open_(metrics.Gauge("waggle_subscribers", "Open Subscribe streams.")),
      opened_(metrics.Counter("waggle_subscriptions_total",
                              "Subscribe streams that were opened.")),
      delivered_(metrics.Counter(
          "waggle_events_delivered_total",
          "Events handed to the transport, counted once a subscriber.")),
      max_lag_(metrics.Gauge(
          "waggle_subscriber_max_lag_events",
          "How many sequences the subscriber that is furthest behind has yet "
          "to be sent or passed by.")),
      delivery_seconds_(metrics.Histogram(
          "waggle_event_delivery_seconds",
          "Time from a webhook's receipt to handing its event to a live "
          "stream's transport; of a message, its oldest event.",
          {DeliveryTimes::kBuckets.begin(), DeliveryTimes::kBuckets.end()})) {
  const absl::Time now = clock.Now();
  MutexLock lock(mu_);
  for (const absl::Duration ago : kPast) {
    const auto position = store.PositionBefore(now - ago);
    if (position.ok()) position_times_.Add(*position, now - ago);
  }
}

SubscriberJournal::~SubscriberJournal() = default;

std::string SubscriberJournal::Open(SubscriberInfo info,
                                    std::shared_ptr<Subscriber> stream) {
  std::string stream_id = NewStreamId();
  Entry entry;
  entry.started_at = clock_.Now();
  entry.recorded_through = info.after;
  entry.info = std::make_shared<const SubscriberInfo>(std::move(info));
  entry.stream = std::move(stream);
  entry.samples.push_back({SteadyNow(), 0});
  MutexLock lock(mu_);
  entries_.emplace(stream_id, std::move(entry));
  open_.Set(static_cast<double>(++open_count_));
  opened_.Increment();
  return stream_id;
}

void SubscriberJournal::Close(const std::string& stream_id) {
  std::shared_ptr<Subscriber> stream;
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(stream_id);
    if (found == entries_.end()) return;
    stream = found->second.stream;
  }
  if (stream == nullptr) return;
  SubscriberReport report = stream->Report();
  report.times.MoveTo(delivery_seconds_);
  MutexLock lock(mu_);
  const auto found = entries_.find(stream_id);
  Entry& entry = found->second;
  entry.stream = nullptr;
  entry.ended_at = clock_.Now();
  entry.report = report;
  open_.Set(static_cast<double>(--open_count_));
  if (!entry.info->stops_when_caught_up) {
    Client& client = clients_[entry.info->principal];
    client.position = report.position;
    client.closed_at = entry.ended_at;
  }
  const size_t bytes = MemoryOf(*entry.info);
  if (closed_bytes_ + bytes > kMaxUnrecordedBytes) {
    entries_.erase(found);
  } else {
    closed_bytes_ += bytes;
  }
}

void SubscriberJournal::Tick() {
  {
    MutexLock lock(record_mu_);
    const absl::Time now = SteadyNow();
    if (now < ticked_at_ + kRecordPause) return;
    ticked_at_ = now;
  }
  Record();
}

void SubscriberJournal::Record() {
  // One at a time, so that a later report is not recorded before an older one.
  MutexLock record_lock(record_mu_);
  const Reports reports = Ask();
  TakeSamples(reports);
  const Sequence last = hub_.last();
  // What closes from here on is recorded the next time.
  MutexLock lock(mu_);
  position_times_.Add(last, clock_.Now());
  for (const auto& [stream_id, report] : reports) {
    const auto found = entries_.find(stream_id);
    if (found != entries_.end() && found->second.stream != nullptr) {
      found->second.report = report;
    }
  }
  std::vector<StreamProgress> progress;
  for (auto& [stream_id, entry] : entries_) {
    if (!entry.recorded) {
      entry.recorded =
          log_.RecordStream(RecordOf(stream_id, entry, /*open=*/true));
    }
    if (entry.recorded &&
        entry.report.handed_through > entry.recorded_through) {
      progress.push_back({stream_id, entry.report.handed_through,
                          entry.report.handed_over_at});
    }
  }
  const bool taken = progress.empty() || log_.RecordProgress(progress);
  if (taken) {
    for (const StreamProgress& one : progress) {
      entries_.find(one.stream_id)->second.recorded_through = one.through;
    }
  }
  // Last, since the log takes no progress of a stream that ended.
  size_t recorded_bytes = 0;
  absl::erase_if(entries_, [&](const auto& item) {
    const auto& [stream_id, entry] = item;
    if (entry.stream != nullptr || !entry.recorded || !taken ||
        !log_.RecordStream(RecordOf(stream_id, entry, /*open=*/false))) {
      return false;
    }
    recorded_bytes += MemoryOf(*entry.info);
    return true;
  });
  closed_bytes_ -= recorded_bytes;
}

StreamRecord SubscriberJournal::RecordOf(const std::string& stream_id,
                                         const Entry& entry, bool open) {
  StreamRecord record;
  record.stream_id = stream_id;
  record.principal = entry.info->principal;
  record.remote_address = entry.info->remote_address;
  v1::SubscribeRequest filters;
  *filters.mutable_filters() = entry.info->effective_filters;
  record.filters = filters.SerializeAsString();
  record.after = entry.info->after;
  record.started_at = entry.started_at;
  if (!open) record.ended_at = entry.ended_at;
  return record;
}

SubscriberJournal::Reports SubscriberJournal::Ask() {
  std::vector<std::pair<std::string, std::shared_ptr<Subscriber>>> streams;
  {
    MutexLock lock(mu_);
    streams.reserve(open_count_);
    for (const auto& [stream_id, entry] : entries_) {
      if (entry.stream != nullptr) {
        streams.emplace_back(stream_id, entry.stream);
      }
    }
  }
  Reports reports;
  reports.reserve(streams.size());
  for (const auto& [stream_id, stream] : streams) {
    SubscriberReport report = stream->Report();
    report.times.MoveTo(delivery_seconds_);
    reports.emplace_back(stream_id, report);
  }
  return reports;
}

void SubscriberJournal::TakeSamples(const Reports& reports) {
  const absl::Time now = SteadyNow();
  MutexLock lock(mu_);
  for (const auto& [stream_id, report] : reports) {
    const auto found = entries_.find(stream_id);
    if (found == entries_.end()) continue;
    std::deque<Sample>& samples = found->second.samples;
    samples.push_back({now, report.delivered});
    while (samples.size() > 1 && samples[1].at <= now - kRateWindow) {
      samples.pop_front();
    }
  }
}

size_t SubscriberJournal::open() const {
  MutexLock lock(mu_);
  return open_count_;
}

v1::ListSubscribersResponse SubscriberJournal::List(size_t max) {
  Reports reports = Ask();
  std::sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.position, std::string_view(a.first)) <
           std::pair(b.second.position, std::string_view(b.first));
  });
  const Sequence last = hub_.last();
  const absl::Time now = SteadyNow();
  v1::ListSubscribersResponse response;
  std::vector<std::shared_ptr<const SubscriberInfo>> infos;
  {
    MutexLock lock(mu_);
    for (const auto& [stream_id, report] : reports) {
      const auto found = entries_.find(stream_id);
      // It may have closed meanwhile.
      if (found == entries_.end() || found->second.stream == nullptr) continue;
      response.set_total(response.total() + 1);
      if (static_cast<size_t>(response.subscribers_size()) == max) continue;
      const Entry& entry = found->second;
      v1::Subscriber& subscriber = *response.add_subscribers();
      infos.push_back(entry.info);
      subscriber.set_stream_id(stream_id);
      *subscriber.mutable_started_at() = ToProto(entry.started_at);
      subscriber.set_position(report.position.value());
      subscriber.set_lag_events(Behind(report.position, last));
      subscriber.set_delivered(report.delivered);
      const Sample& since = entry.samples.front();
      // A stream that was just opened has no rate yet.
      const absl::Duration time = std::max(now - since.at, absl::Seconds(1));
      subscriber.set_delivered_per_second(
          static_cast<double>(report.delivered - since.delivered) /
          absl::ToDoubleSeconds(time));
    }
  }
  size_t filter_bytes = 0;
  for (size_t i = 0; i < infos.size(); ++i) {
    const SubscriberInfo& info = *infos[i];
    v1::Subscriber& subscriber =
        *response.mutable_subscribers(static_cast<int>(i));
    subscriber.set_principal(info.principal);
    subscriber.set_remote_address(info.remote_address);
    subscriber.set_include_payload(info.include_payload);
    const size_t size = SizeOf(info.filters);
    if (size <= kMaxFilterBytes &&
        filter_bytes + size <= kMaxListedFilterBytes) {
      *subscriber.mutable_filters() = info.filters;
      filter_bytes += size;
    } else {
      subscriber.set_filters_omitted(true);
    }
    *subscriber.mutable_lag_age() =
        ToProto(LagAge(Sequence(subscriber.position())));
  }
  return response;
}

absl::Duration SubscriberJournal::LagAge(Sequence position) const {
  if (position >= hub_.last()) return absl::ZeroDuration();
  const absl::Time now = clock_.Now();
  const StoreBounds bounds = store_.Bounds();
  std::optional<absl::Time> stored_at;
  // Retention has passed it, and left something.
  if (position < bounds.trimmed_through &&
      bounds.oldest_stored_at != absl::InfiniteFuture()) {
    stored_at = bounds.oldest_stored_at;
  } else {
    stored_at = hub_.StoredAfter(position);
  }
  if (!stored_at.has_value()) {
    MutexLock lock(mu_);
    stored_at = position_times_.After(position);
  }
  return std::max(now - stored_at.value_or(now), absl::ZeroDuration());
}

void SubscriberJournal::UpdateMetrics() {
  const Reports reports = Ask();
  const Sequence last = hub_.last();
  uint64_t max_lag = 0;
  for (const auto& [stream_id, report] : reports) {
    max_lag = std::max(max_lag, Behind(report.position, last));
  }
  max_lag_.Set(static_cast<double>(max_lag));
  for (const auto& [principal, position] : UpdateClients(reports)) {
    const absl::Duration age = LagAge(position);
    MutexLock lock(mu_);
    const auto found = clients_.find(principal);
    // It may have gone meanwhile, and come back without its series.
    if (found == clients_.end() || found->second.lag_events == nullptr) {
      continue;
    }
    found->second.lag_events->Set(static_cast<double>(Behind(position, last)));
    found->second.lag_seconds->Set(absl::ToDoubleSeconds(age));
  }
}

std::vector<std::pair<std::string, Sequence>> SubscriberJournal::UpdateClients(
    const Reports& reports) {
  const absl::Time now = clock_.Now();
  absl::flat_hash_map<std::string, Sequence> open;
  MutexLock lock(mu_);
  for (const auto& [stream_id, report] : reports) {
    const auto found = entries_.find(stream_id);
    if (found == entries_.end() || found->second.stream == nullptr ||
        found->second.info->stops_when_caught_up) {
      continue;
    }
    const auto [place, is_new] =
        open.emplace(found->second.info->principal, report.position);
    if (!is_new) place->second = std::min(place->second, report.position);
  }
  for (const auto& [principal, position] : open) {
    clients_[principal].position = position;
    clients_[principal].closed_at = absl::InfiniteFuture();
  }
  std::vector<std::pair<std::string, Sequence>> positions;
  absl::erase_if(clients_, [&](auto& entry) {
    const std::string& principal = entry.first;
    Client& client = entry.second;
    if (!open.contains(principal) &&
        (!access_.Names(principal) || now > client.closed_at + kClientMemory)) {
      RemoveSeries(principal);
      return true;
    }
    const Metrics::Labels labels = {{"principal", principal}};
    client.lag_events = &metrics_.Gauge(kLagEvents, kLagEventsHelp, labels);
    client.lag_seconds = &metrics_.Gauge(kLagSeconds, kLagSecondsHelp, labels);
    positions.emplace_back(principal, client.position);
    return false;
  });
  return positions;
}

void SubscriberJournal::RemoveSeries(const std::string& principal) {
  metrics_.RemoveGauge(kLagEvents, kLagEventsHelp, {{"principal", principal}});
  metrics_.RemoveGauge(kLagSeconds, kLagSecondsHelp,
                       {{"principal", principal}});
}

}  // namespace waggle
