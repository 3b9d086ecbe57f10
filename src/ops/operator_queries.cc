#include "ops/operator_queries.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "event/delivery_filter.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "event/proto_time.h"
#include "ops/delivery_check.h"
#include "ops/visible_event.h"

namespace waggle {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1000;
constexpr size_t kMaxIdSize = 64;

absl::Status CheckMayReadDeliveries(const Caller& caller) {
  return caller.principal->rights.Has(Capability::kDeliveries)
             ? absl::OkStatus()
             : MissingRightError(CapabilityMissing(Capability::kDeliveries));
}

size_t PageSize(uint32_t asked) {
  return asked == 0 ? kDefaultPageSize : std::min(asked, kMaxPageSize);
}

// A page token is the id that the page stays below and a mark of that and the
// filter, so that a token of another request, or none, is told apart.
std::string PageToken(uint64_t before, const v1::DeliveryFilter& filter) {
  const std::string id = absl::StrFormat("%016x", before);
  const Sha256Digest mark = Sha256({id, KeyOf(filter)});
  return absl::StrCat(id, absl::BytesToHexString(absl::string_view(
                              reinterpret_cast<const char*>(mark.data()), 8)));
}

// Nothing if it is no token of a request with this filter.
std::optional<uint64_t> ParsePageToken(const std::string& token,
                                       const v1::DeliveryFilter& filter) {
  uint64_t before = 0;
  if (!absl::SimpleHexAtoi(absl::string_view(token).substr(0, 16), &before) ||
      token != PageToken(before, filter)) {
    return std::nullopt;
  }
  return before;
}

}  // namespace

OperatorQueries::OperatorQueries(EventStore& store, DeliveryLog& log,
                                 SubscriberJournal& subscribers,
                                 const Clock& clock, GatewaySources gateway)
    : store_(store),
      log_(log),
      subscribers_(subscribers),
      clock_(clock),
      gateway_(std::move(gateway)) {}

absl::StatusOr<v1::ListDeliveriesResponse> OperatorQueries::ListDeliveries(
    const v1::ListDeliveriesRequest& request, const Caller& caller) {
  WAGGLE_RETURN_IF_ERROR(CheckMayReadDeliveries(caller));
  const v1::DeliveryFilter& filter = request.filter();
  if (const auto violations = Validate(filter); !violations.empty()) {
    return InvalidFieldsError(violations);
  }
  uint64_t before = UINT64_MAX;
  if (!request.page_token().empty()) {
    const auto parsed = ParsePageToken(request.page_token(), filter);
    if (!parsed.has_value()) {
      return InvalidFieldsError(
          {{"page_token",
            "use the next_page_token of the page before, with the same "
            "filter"}});
    }
    before = *parsed;
  }
  WAGGLE_ASSIGN_OR_RETURN(
      DeliveryPage page,
      log_.ListDeliveries(filter, before, PageSize(request.page_size())));
  v1::ListDeliveriesResponse response;
  for (v1::Delivery& delivery : page.deliveries) {
    *response.add_deliveries() = std::move(delivery);
  }
  if (page.next_before != 0) {
    response.set_next_page_token(PageToken(page.next_before, filter));
  }
  return response;
}

absl::StatusOr<v1::GetDeliveryResponse> OperatorQueries::GetDelivery(
    const v1::GetDeliveryRequest& request, const Caller& caller) {
  WAGGLE_RETURN_IF_ERROR(CheckMayReadDeliveries(caller));
  if (request.id() == 0) {
    return InvalidFieldsError({{"id", "must be the id of a delivery"}});
  }
  WAGGLE_ASSIGN_OR_RETURN(v1::Delivery delivery,
                          log_.ReadDelivery(request.id()));
  v1::GetDeliveryResponse response;
  *response.mutable_delivery() = std::move(delivery);
  return response;
}

absl::StatusOr<v1::CheckDeliveryResponse> OperatorQueries::CheckDelivery(
    const v1::CheckDeliveryRequest& request, const Caller& caller) {
  WAGGLE_RETURN_IF_ERROR(CheckMayReadDeliveries(caller));
  return waggle::CheckDelivery(store_, log_, request, caller.principal->rights,
                               clock_.Now());
}

absl::StatusOr<v1::GetGatewayResponse> OperatorQueries::GetGateway(
    const v1::GetGatewayRequest& request, const Caller& caller) {
  WAGGLE_RETURN_IF_ERROR(CheckMayReadDeliveries(caller));
  v1::GetGatewayResponse response;
  response.set_version(gateway_.version);
  *response.mutable_started_at() = ToProto(gateway_.started_at);
  *response.mutable_now() = ToProto(clock_.Now());
  const absl::Status readiness = gateway_.readiness();
  response.set_ready(readiness.ok());
  response.set_not_ready_reason(std::string(readiness.message()));
  const StoreBounds bounds = store_.Bounds();
  v1::StoreState& store = *response.mutable_store();
  store.set_size_bytes(bounds.size_bytes);
  store.set_max_size_bytes(gateway_.retention.max_bytes);
  if (gateway_.retention.max_age != absl::InfiniteDuration()) {
    *store.mutable_max_age() = ToProto(gateway_.retention.max_age);
  }
  store.set_last_sequence(bounds.last.value());
  store.set_trimmed_through(bounds.trimmed_through.value());
  if (bounds.oldest_stored_at != absl::InfiniteFuture()) {
    *store.mutable_oldest_stored_at() = ToProto(bounds.oldest_stored_at);
  }
  for (v1::EndpointState& endpoint : gateway_.endpoints()) {
    *response.add_endpoints() = std::move(endpoint);
  }
  if (request.include_rates()) {
    for (v1::RatePoint& point : gateway_.rates()) {
      *response.add_rates() = std::move(point);
    }
  }
  response.set_subscribers(static_cast<uint32_t>(subscribers_.open()));
  return response;
}

absl::StatusOr<v1::ListSubscribersResponse> OperatorQueries::ListSubscribers(
    const v1::ListSubscribersRequest& request, const Caller& caller) {
  WAGGLE_RETURN_IF_ERROR(CheckMayReadDeliveries(caller));
  return subscribers_.List(PageSize(request.max_subscribers()));
}

absl::StatusOr<v1::GetEventResponse> OperatorQueries::GetEvent(
    const v1::GetEventRequest& request, const Caller& caller) {
  if (request.id().empty() || request.id().size() > kMaxIdSize) {
    return InvalidFieldsError({{"id", "must be the id of an event"}});
  }
  const Rights& rights = caller.principal->rights;
  if (const auto missing = rights.MissingFor({}, request.include_payload())) {
    return MissingRightError(*missing);
  }
  WAGGLE_ASSIGN_OR_RETURN(
      const StoredEventPtr event,
      store_.ReadById(request.id(), request.include_payload()));
  EventView view;
  const auto allowed = Filter::Compile(rights.Restrict({}));
  if (!allowed->matches_all() &&
      (!EventView::Parse(event->event, view) || !allowed->Matches(view))) {
    return MissingRightError(ExcludedBy(rights, view));
  }
  v1::GetEventResponse response;
  *response.mutable_event() =
      VisibleEvent(*event, rights.personal_data, request.include_payload());
  return response;
}

}  // namespace waggle
