#include "ops/delivery_check.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "event/proto_time.h"
#include "google/protobuf/util/time_util.h"
#include "ops/operator_api.h"
#include "ops/visible_event.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr absl::Duration kDefaultWindow = absl::Hours(24);
constexpr uint32_t kDefaultEvents = 100;
constexpr uint32_t kMaxEvents = 1000;
constexpr size_t kMaxSubjectSize = 512;
// What one call looks at, and about how much it gives.
constexpr size_t kMaxScannedEvents = 200'000;
constexpr size_t kMaxScannedRefusals = 100'000;
constexpr size_t kMaxBytes = 1 << 20;
constexpr std::chrono::seconds kMaxTime(2);
// Of one event.
constexpr size_t kMaxDeliveries = 100;
constexpr size_t kMaxStreams = 10'000;
constexpr int kMaxHandovers = 100;
constexpr size_t kMaxFilterBytes = 4 << 10;
// Of the filters that are kept parsed; each costs something even if empty.
constexpr size_t kMaxKeptFilterBytes = 4 << 20;
constexpr size_t kFilterOverhead = 1 << 10;
constexpr size_t kRefusalPage = 1000;

// That a Timestamp can tell.
absl::Time EarliestTime() {
  return absl::FromUnixSeconds(
      google::protobuf::util::TimeUtil::kTimestampMinSeconds);
}

std::string_view SubjectOf(const v1::CheckDeliveryRequest& request) {
  switch (request.subject_case()) {
    case v1::CheckDeliveryRequest::kSyncId:
      return request.sync_id();
    case v1::CheckDeliveryRequest::kRecordId:
      return request.record_id();
    case v1::CheckDeliveryRequest::kConnectorId:
      return request.connector_id();
    case v1::CheckDeliveryRequest::kOriginId:
      return request.origin_id();
    case v1::CheckDeliveryRequest::SUBJECT_NOT_SET:
      break;
  }
  return {};
}

std::vector<FieldViolation> Check(const v1::CheckDeliveryRequest& request,
                                  absl::Time now) {
  std::vector<FieldViolation> violations;
  const std::string_view subject = SubjectOf(request);
  if (subject.empty()) {
    violations.push_back({"subject",
                          "name one of sync_id, record_id, connector_id and "
                          "origin_id, and not an empty one"});
  } else if (subject.size() > kMaxSubjectSize) {
    violations.push_back(
        {"subject", absl::StrCat("longer than ", kMaxSubjectSize, " bytes")});
  }
  constexpr char kNoTime[] = "not a time between the years 1 and 9999";
  if (!IsValid(request.since())) violations.push_back({"since", kNoTime});
  if (!IsValid(request.until())) violations.push_back({"until", kNoTime});
  if (violations.empty() && request.has_since() &&
      ToTime(request.since()) >=
          (request.has_until() ? ToTime(request.until()) : now)) {
    violations.push_back({"since", "must be before `until`"});
  }
  return violations;
}

bool Names(const v1::EmployeesChanged& changed, std::string_view record) {
  const auto& ids = changed.employee_ids();
  return std::find(ids.begin(), ids.end(), record) != ids.end();
}

bool Names(const v1::DataModified& modified, std::string_view record) {
  const auto has = [&record](const auto& ids) {
    return std::find(ids.begin(), ids.end(), record) != ids.end();
  };
  return has(modified.record_ids()) ||
         std::any_of(modified.changes().begin(), modified.changes().end(),
                     [&has](const v1::ModelChange& change) {
                       return has(change.record_ids());
                     });
}

bool IsAbout(const v1::CheckDeliveryRequest& request, const v1::Event& event) {
  switch (request.subject_case()) {
    case v1::CheckDeliveryRequest::kSyncId:
      return event.sync().id() == request.sync_id();
    case v1::CheckDeliveryRequest::kRecordId:
      return Names(event.employees_changed(), request.record_id()) ||
             Names(event.data_modified(), request.record_id());
    case v1::CheckDeliveryRequest::kConnectorId:
      return event.connector().id() == request.connector_id();
    case v1::CheckDeliveryRequest::kOriginId:
      return event.connector().origin_id() == request.origin_id();
    case v1::CheckDeliveryRequest::SUBJECT_NOT_SET:
      break;
  }
  return false;
}

// One call.
class DeliveryCheck {
 public:
  DeliveryCheck(EventStore& store, DeliveryLog& log,
                const v1::CheckDeliveryRequest& request, const Rights& rights)
      : store_(store),
        log_(log),
        request_(request),
        subject_(SubjectOf(request)),
        personal_data_(rights.personal_data),
        allowed_(Filter::Compile(rights.Restrict({}))),
        max_events_(request.max_events() == 0
                        ? kDefaultEvents
                        : std::min(request.max_events(), kMaxEvents)) {}

  // Looks at the events stored in [since, until), the oldest first. Returns
  // where it stopped: at `until`, if not before.
  absl::StatusOr<absl::Time> FindEvents(absl::Time since, absl::Time until) {
    PageRequest page_request;
    WAGGLE_ASSIGN_OR_RETURN(page_request.after, store_.PositionBefore(since));
    absl::Time looked_at = absl::InfinitePast();
    while (true) {
      const auto page = store_.ReadPage(page_request);
      if (absl::IsOutOfRange(page.status())) {  // retention came in between
        page_request.after = store_.Bounds().trimmed_through;
        continue;
      }
      if (!page.ok()) return page.status();
      if (page->empty()) return until;
      for (const StoredEventPtr& event : *page) {
        if (event->stored_at >= until) return until;
        // Between two moments, since the caller goes on by time; within one
        // that holds very much, too.
        const bool is_between = event->stored_at > looked_at;
        if (scanned_ > 0 && (is_between ? IsEnough() : IsOver(2))) {
          response_.set_truncated(true);
          return event->stored_at;
        }
        looked_at = event->stored_at;
        ++scanned_;
        WAGGLE_RETURN_IF_ERROR(LookAt(*event));
      }
      page_request.after = page->back()->sequence;
    }
  }

  // Adds up what was refused in [since, until).
  absl::Status FindRefusals(absl::Time since, absl::Time until) {
    v1::DeliveryFilter filter;
    *filter.mutable_since() = ToProto(since);
    *filter.mutable_until() = ToProto(until);
    const auto* outcomes = v1::DeliveryOutcome_descriptor();
    for (int i = 0; i < outcomes->value_count(); ++i) {
      const auto outcome =
          static_cast<v1::DeliveryOutcome>(outcomes->value(i)->number());
      if (outcome != v1::DELIVERY_OUTCOME_UNSPECIFIED &&
          outcome != v1::DELIVERY_OUTCOME_ACCEPTED &&
          outcome != v1::DELIVERY_OUTCOME_DUPLICATE) {
        filter.add_outcomes(outcome);
      }
    }
    absl::btree_map<std::pair<std::string, int>, v1::RefusedDeliveries> refused;
    const SteadyClock::time_point deadline = SteadyClock::now() + kMaxTime;
    uint64_t before = UINT64_MAX;
    size_t found = 0;
    do {
      WAGGLE_ASSIGN_OR_RETURN(
          const DeliveryPage page,
          log_.ListDeliveries(filter, before, kRefusalPage));
      for (const v1::Delivery& delivery : page.deliveries) {
        v1::RefusedDeliveries& group =
            refused[{delivery.endpoint(), delivery.outcome()}];
        if (group.recorded() == 0) *group.mutable_last() = delivery;
        group.set_recorded(group.recorded() + 1);
        *group.mutable_first_received_at() = delivery.received_at();
      }
      found += page.deliveries.size();
      before = page.next_before;
    } while (before != 0 && found < kMaxScannedRefusals &&
             SteadyClock::now() < deadline);
    response_.set_refused_truncated(before != 0);
    for (auto& [key, group] : refused) {
      group.set_endpoint(key.first);
      group.set_outcome(static_cast<v1::DeliveryOutcome>(key.second));
      *response_.add_refused() = std::move(group);
    }
    return absl::OkStatus();
  }

  v1::CheckDeliveryResponse& response() { return response_; }

 private:
  struct StreamFilter {
    Filter::Protos protos;
    std::shared_ptr<const Filter> filter;
  };

  bool IsEnough() const {
    return static_cast<uint32_t>(response_.events_size()) >= max_events_ ||
           IsOver(1);
  }
  // Whether a bound is met so many times.
  bool IsOver(unsigned times) const {
    return bytes_ >= times * kMaxBytes ||
           scanned_ >= times * kMaxScannedEvents ||
           SteadyClock::now() >= begin_ + times * kMaxTime;
  }

  absl::Status LookAt(const StoredEvent& event) {
    // Most events are not about it, and parsing is dear.
    if (event.event.find(subject_) == std::string::npos) {
      return absl::OkStatus();
    }
    v1::Event parsed;
    EventView view;
    if (!parsed.ParseFromString(event.event) || !IsAbout(request_, parsed) ||
        !EventView::Parse(event.event, view) || !allowed_->Matches(view)) {
      return absl::OkStatus();
    }
    v1::CheckedEvent& checked = *response_.add_events();
    *checked.mutable_event() =
        VisibleEvent(event, personal_data_, /*include_payload=*/false);
    WAGGLE_ASSIGN_OR_RETURN(std::vector<v1::Delivery> deliveries,
                            log_.DeliveriesOf(event.sequence, kMaxDeliveries));
    for (v1::Delivery& delivery : deliveries) {
      *checked.add_deliveries() = std::move(delivery);
    }
    WAGGLE_RETURN_IF_ERROR(AddHandovers(event, view, checked));
    bytes_ += checked.ByteSizeLong();
    return absl::OkStatus();
  }

  absl::Status AddHandovers(const StoredEvent& event, const EventView& view,
                            v1::CheckedEvent& checked) {
    WAGGLE_ASSIGN_OR_RETURN(
        const std::vector<StreamHandover> streams,
        log_.Handovers(event.sequence, event.stored_at, absl::InfiniteFuture(),
                       kMaxStreams));
    checked.set_handovers_truncated(streams.size() == kMaxStreams);
    for (const auto& [stream, handed_over_at] : streams) {
      const StreamFilter& filter = FilterOf(stream.filters);
      if (!filter.filter->Matches(view)) continue;
      if (checked.handovers_size() == kMaxHandovers) {
        checked.set_handovers_truncated(true);
        break;
      }
      v1::Handover& handover = *checked.add_handovers();
      handover.set_stream_id(stream.stream_id);
      handover.set_principal(stream.principal);
      handover.set_remote_address(stream.remote_address);
      *handover.mutable_stream_started_at() = ToProto(stream.started_at);
      if (stream.ended_at != absl::InfiniteFuture()) {
        *handover.mutable_stream_ended_at() = ToProto(stream.ended_at);
      }
      if (handed_over_at != absl::InfiniteFuture()) {
        *handover.mutable_handed_over_at() = ToProto(handed_over_at);
      }
      if (stream.filters.size() <= kMaxFilterBytes) {
        *handover.mutable_filters() = filter.protos;
      } else {
        handover.set_filters_omitted(true);
      }
    }
    return absl::OkStatus();
  }

  // Valid until the next call.
  const StreamFilter& FilterOf(const std::string& recorded) {
    const auto found = filters_.find(recorded);
    if (found != filters_.end()) return found->second;
    const size_t size = recorded.size() + kFilterOverhead;
    if (filter_bytes_ + size > kMaxKeptFilterBytes) {
      filters_.clear();
      filter_bytes_ = 0;
    }
    filter_bytes_ += size;
    v1::SubscribeRequest request;
    request.ParseFromString(recorded);
    return filters_[recorded] = {request.filters(),
                                 Filter::Compile(request.filters())};
  }

  EventStore& store_;
  DeliveryLog& log_;
  const v1::CheckDeliveryRequest& request_;
  const std::string_view subject_;
  const bool personal_data_;
  const std::shared_ptr<const Filter> allowed_;
  const uint32_t max_events_;
  const SteadyClock::time_point begin_ = SteadyClock::now();
  v1::CheckDeliveryResponse response_;
  size_t scanned_ = 0;
  size_t bytes_ = 0;
  // As recorded: of many events the same streams are asked about, and streams
  // of one service have the same filters.
  absl::flat_hash_map<std::string, StreamFilter> filters_;
  size_t filter_bytes_ = 0;
};

}  // namespace

absl::StatusOr<v1::CheckDeliveryResponse> CheckDelivery(
    EventStore& store, DeliveryLog& log,
    const v1::CheckDeliveryRequest& request, const Rights& rights,
    absl::Time now) {
  if (const auto violations = Check(request, now); !violations.empty()) {
    return InvalidFieldsError(violations);
  }
  const absl::Time until = request.has_until() ? ToTime(request.until()) : now;
  const absl::Time since =
      request.has_since() ? ToTime(request.since())
                          : std::max(until - kDefaultWindow, EarliestTime());
  DeliveryCheck check(store, log, request, rights);
  // Where a clock was set back, the newest events are not before now.
  WAGGLE_ASSIGN_OR_RETURN(
      absl::Time searched_until,
      check.FindEvents(since,
                       request.has_until() ? until : absl::InfiniteFuture()));
  if (searched_until == absl::InfiniteFuture()) searched_until = until;
  WAGGLE_RETURN_IF_ERROR(check.FindRefusals(since, searched_until));
  *check.response().mutable_searched_since() = ToProto(since);
  *check.response().mutable_searched_until() = ToProto(searched_until);
  return std::move(check.response());
}

}  // namespace waggle
