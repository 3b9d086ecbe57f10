#include "tests/browser/busy_operator_api.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/time_util.h"

namespace waggle::testing {
namespace {

using google::protobuf::util::TimeUtil;

constexpr absl::Duration kBefore = absl::Minutes(1);
constexpr const char* kMarkup = "<img src=x onerror=\"document.title='bad'\">";

google::protobuf::Timestamp ToProto(absl::Time time) {
  return TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}

absl::Status Judge(const Caller& caller) {
  if (caller.principal->rights.admin) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "this takes the capability \"deliveries\" or \"admin\"");
}

template <typename Values, typename Value>
bool Allows(const Values& values, const Value& value) {
  return values.empty() ||
         std::find(values.begin(), values.end(), value) != values.end();
}

bool Matches(const v1::DeliveryFilter& filter, const v1::Delivery& delivery) {
  return (!filter.has_since() || delivery.received_at() >= filter.since()) &&
         (!filter.has_until() || delivery.received_at() < filter.until()) &&
         Allows(filter.endpoints(), delivery.endpoint()) &&
         Allows(filter.outcomes(), delivery.outcome()) &&
         Allows(filter.connector_ids(), delivery.connector_id()) &&
         Allows(filter.type_names(), delivery.type_name()) &&
         Allows(filter.event_ids(), delivery.event_id());
}

std::string EventId(uint64_t id) {
  return absl::StrCat("019ac0de-0000-7000-8000-",
                      absl::Dec(id, absl::kZeroPad12));
}

std::string ConnectorId(uint64_t id) {
  return absl::StrCat("6f1d2c3b-4a59-4e68-9777-",
                      absl::Dec(id % 7, absl::kZeroPad12));
}

}  // namespace

BusyOperatorApi::BusyOperatorApi(double deliveries_per_second)
    : rate_(deliveries_per_second), started_at_(absl::Now()) {}

uint64_t BusyOperatorApi::newest() const {
  return static_cast<uint64_t>(
      absl::ToDoubleSeconds(absl::Now() - started_at_ + kBefore) * rate_);
}

v1::Delivery BusyOperatorApi::DeliveryOf(uint64_t id) const {
  v1::Delivery delivery;
  delivery.set_id(id);
  *delivery.mutable_received_at() = ToProto(
      started_at_ - kBefore + absl::Seconds(static_cast<double>(id) / rate_));
  delivery.set_endpoint(id % 3 == 0 ? "bindbee-eu" : "bindbee");
  delivery.set_remote_address(absl::StrCat("203.0.113.", id % 200));
  delivery.set_size_bytes(700 + id % 4096);
  *delivery.mutable_read_duration() = TimeUtil::MicrosecondsToDuration(180);
  delivery.set_traceparent(
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  if (id % 31 == 0) {
    delivery.set_outcome(v1::DELIVERY_OUTCOME_NOT_FOUND);
    delivery.set_http_status(404);
    delivery.clear_endpoint();
    delivery.set_path(absl::StrCat("/", kMarkup));
    return delivery;
  }
  *delivery.mutable_verify_duration() = TimeUtil::MicrosecondsToDuration(45);
  if (id % 17 == 0) {
    delivery.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
    delivery.set_http_status(401);
    delivery.set_unrecorded_before(id % 5);
    return delivery;
  }
  // What was refused before it has no event that it could be one of.
  const bool duplicate =
      id % 13 == 0 && (id - 1) % 31 != 0 && (id - 1) % 17 != 0;
  const uint64_t first = duplicate ? id - 1 : id;
  delivery.set_outcome(duplicate ? v1::DELIVERY_OUTCOME_DUPLICATE
                                 : v1::DELIVERY_OUTCOME_ACCEPTED);
  delivery.set_http_status(200);
  *delivery.mutable_commit_duration() = TimeUtil::MicrosecondsToDuration(2100);
  delivery.set_key_fingerprint("5f70bf18a086");
  delivery.set_event_id(EventId(first));
  delivery.set_sequence(first);
  delivery.set_type_name(first % 29 == 0  ? kMarkup
                         : first % 2 == 0 ? "connector_synced"
                                          : "employee_data_changed");
  delivery.set_connector_id(ConnectorId(first));
  return delivery;
}

v1::Event BusyOperatorApi::EventOf(uint64_t id) const {
  const v1::Delivery delivery = DeliveryOf(id);
  v1::Event event;
  event.set_id(delivery.event_id());
  event.set_sequence(id);
  event.set_type_name(delivery.type_name());
  event.set_endpoint(delivery.endpoint());
  *event.mutable_received_at() = delivery.received_at();
  event.mutable_connector()->set_id(delivery.connector_id());
  event.mutable_connector()->set_display_name("BambooHR");
  event.mutable_connector()->set_integration_slug("bamboohr");
  event.mutable_connector()->set_origin_id("customer-42");
  event.mutable_sync()->set_id(absl::StrCat("sync-", id));
  event.mutable_sync()->set_type(v1::SYNC_TYPE_AUTOMATED);
  event.mutable_sync_status()->set_display_status(v1::DISPLAY_STATUS_DONE);
  event.set_traceparent(delivery.traceparent());
  return event;
}

absl::StatusOr<v1::ListDeliveriesResponse> BusyOperatorApi::ListDeliveries(
    const v1::ListDeliveriesRequest& request, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  constexpr int kMaxScan = 50'000;
  const int size = request.page_size() == 0
                       ? 100
                       : static_cast<int>(std::min(request.page_size(), 1000U));
  uint64_t id = request.page_token().empty()
                    ? newest()
                    : std::strtoull(request.page_token().c_str(), nullptr, 10);
  v1::ListDeliveriesResponse response;
  for (int scanned = 0; id > request.filter().after_id(); --id, ++scanned) {
    if (response.deliveries_size() == size || scanned == kMaxScan) {
      response.set_next_page_token(absl::StrCat(id));
      break;
    }
    v1::Delivery delivery = DeliveryOf(id);
    if (Matches(request.filter(), delivery)) {
      *response.add_deliveries() = std::move(delivery);
    }
  }
  return response;
}

absl::StatusOr<v1::GetDeliveryResponse> BusyOperatorApi::GetDelivery(
    const v1::GetDeliveryRequest& request, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  v1::GetDeliveryResponse response;
  *response.mutable_delivery() = DeliveryOf(request.id());
  return response;
}

absl::StatusOr<v1::CheckDeliveryResponse> BusyOperatorApi::CheckDelivery(
    const v1::CheckDeliveryRequest& request, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  v1::CheckDeliveryResponse response;
  *response.mutable_searched_since() =
      request.has_since() ? request.since() : ToProto(started_at_ - kBefore);
  *response.mutable_searched_until() = ToProto(absl::Now());
  if (!absl::StartsWith(request.sync_id(), "sync-")) return response;
  const uint64_t id = std::strtoull(request.sync_id().c_str() + 5, nullptr, 10);
  auto& checked = *response.add_events();
  *checked.mutable_event() = EventOf(id);
  *checked.add_deliveries() = DeliveryOf(id);
  auto& handed_over = *checked.add_handovers();
  handed_over.set_stream_id("0b1d7d1e-7f0c-4f7e-8a51-d6a3a1f0c001");
  handed_over.set_principal("payroll");
  handed_over.set_remote_address("10.1.2.3");
  *handed_over.mutable_handed_over_at() = ToProto(absl::Now());
  handed_over.add_filters()->add_type_names("connector_synced");
  auto& pending = *checked.add_handovers();
  pending.set_stream_id("0b1d7d1e-7f0c-4f7e-8a51-d6a3a1f0c002");
  pending.set_principal("directory");
  pending.set_remote_address("10.1.2.4");
  auto& refused = *response.add_refused();
  refused.set_endpoint("bindbee");
  refused.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  refused.set_recorded(12);
  *refused.mutable_last() = DeliveryOf(17);
  if (id == 0) {  // of which there is too much of everything
    response.set_truncated(true);
    // The first question ends where the second one begins and ends.
    *response.mutable_searched_until() = ToProto(started_at_);
    response.set_refused_truncated(true);
    checked.set_handovers_truncated(true);
    pending.set_filters_omitted(true);
  }
  return response;
}

absl::StatusOr<v1::GetGatewayResponse> BusyOperatorApi::GetGateway(
    const v1::GetGatewayRequest& request, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  const absl::Time now = absl::Now();
  v1::GetGatewayResponse response;
  response.set_version("0.0.0-test");
  *response.mutable_started_at() = ToProto(started_at_);
  *response.mutable_now() = ToProto(now);
  response.set_ready(true);
  response.set_subscribers(3);
  auto& store = *response.mutable_store();
  store.set_size_bytes(uint64_t{1'300} << 20);
  store.set_max_size_bytes(uint64_t{10} << 30);
  *store.mutable_max_age() = TimeUtil::HoursToDuration(168);
  store.set_last_sequence(newest());
  store.set_trimmed_through(12);
  *store.mutable_oldest_stored_at() = ToProto(started_at_ - kBefore);
  for (const char* name : {"bindbee", "bindbee-eu"}) {
    auto& endpoint = *response.add_endpoints();
    endpoint.set_name(name);
    *endpoint.mutable_last_request_at() = ToProto(now);
    *endpoint.mutable_last_accepted_at() = ToProto(now - absl::Seconds(3));
    auto& key = *endpoint.add_keys();
    key.set_fingerprint("5f70bf18a086");
    key.set_verified(newest());
    *key.mutable_last_verified_at() = ToProto(now - absl::Seconds(3));
  }
  response.mutable_endpoints(1)->set_verification_failing(true);
  response.mutable_endpoints(1)->add_keys()->set_fingerprint("c0ffee00c0ff");
  if (!request.include_rates()) return response;
  for (int i = 0; i < 360; ++i) {
    auto& point = *response.add_rates();
    *point.mutable_at() = ToProto(now - absl::Seconds(10) * (359 - i));
    const double wave = 0.8 + 0.15 * std::sin(i / 25.0) + 0.05 * std::sin(i);
    point.set_accepted(static_cast<uint64_t>(9 * rate_ * wave));
    point.set_duplicates(static_cast<uint64_t>(0.7 * rate_));
    point.set_refused(
        static_cast<uint64_t>(i > 200 && i < 230 ? 5 * rate_ : rate_ / 2));
    point.set_delivered(static_cast<uint64_t>(27 * rate_ * wave));
  }
  return response;
}

absl::StatusOr<v1::ListSubscribersResponse> BusyOperatorApi::ListSubscribers(
    const v1::ListSubscribersRequest&, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  v1::ListSubscribersResponse response;
  const char* const names[] = {"warehouse", "payroll", "directory"};
  const uint64_t lags[] = {51'230, 12, 0};
  for (int i = 0; i < 3; ++i) {
    auto& subscriber = *response.add_subscribers();
    subscriber.set_stream_id(absl::StrCat("stream-", i));
    subscriber.set_principal(names[i]);
    subscriber.set_remote_address(absl::StrCat("10.1.2.", i + 3));
    *subscriber.mutable_started_at() = ToProto(started_at_);
    subscriber.set_position(newest() - std::min(newest(), lags[i]));
    subscriber.set_lag_events(lags[i]);
    *subscriber.mutable_lag_age() =
        TimeUtil::MillisecondsToDuration(static_cast<int64_t>(lags[i]));
    subscriber.set_delivered(newest());
    subscriber.set_delivered_per_second(rate_ * (i + 1) / 3);
  }
  auto& filter = *response.mutable_subscribers(1)->add_filters();
  filter.add_type_names("connector_synced");
  filter.add_type_names(kMarkup);
  filter.add_endpoints("bindbee");
  response.mutable_subscribers(0)->set_include_payload(true);
  response.set_total(3);
  return response;
}

absl::StatusOr<v1::GetEventResponse> BusyOperatorApi::GetEvent(
    const v1::GetEventRequest& request, const Caller& caller) {
  if (absl::Status status = Judge(caller); !status.ok()) return status;
  const size_t dash = request.id().rfind('-');
  if (dash == std::string::npos) {
    return absl::NotFoundError("no event with this id");
  }
  v1::GetEventResponse response;
  *response.mutable_event() =
      EventOf(std::strtoull(request.id().c_str() + dash + 1, nullptr, 10));
  const bool personal_data = caller.principal->rights.personal_data;
  if (request.include_payload()) {
    if (!personal_data) {
      return absl::PermissionDeniedError(
          "payloads take the capability \"personal_data\"");
    }
    response.mutable_event()->set_payload(absl::StrCat(
        R"({"webhook":{"event":"connector_synced"},"connector":{"end_user":")",
        kMarkup, R"(","email":"ada@example.com"},"name":"Zoë 蜂"})"));
  }
  if (personal_data) {
    response.mutable_event()->mutable_connector()->set_end_user_email(
        "ada@example.com");
  }
  return response;
}

}  // namespace waggle::testing
