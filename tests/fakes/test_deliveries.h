// Deliveries for tests of what stands above the delivery log.
#ifndef WAGGLE_TESTS_FAKES_TEST_DELIVERIES_H_
#define WAGGLE_TESTS_FAKES_TEST_DELIVERIES_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "event/proto_time.h"
#include "store/event_store.h"
#include "tests/fakes/test_events.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

inline v1::Delivery Refused(v1::DeliveryOutcome outcome, absl::Time received_at,
                            const std::string& endpoint = "bindbee") {
  v1::Delivery delivery;
  delivery.set_endpoint(endpoint);
  delivery.set_outcome(outcome);
  *delivery.mutable_received_at() = ToProto(received_at);
  return delivery;
}

// The n-th event with what the delivery log is to say of it.
inline NewEvent DeliveredEvent(uint64_t n, absl::Time received_at,
                               v1::Event event = {}) {
  *event.mutable_received_at() = ToProto(received_at);
  v1::Delivery delivery;
  delivery.set_endpoint("bindbee");
  *delivery.mutable_received_at() = ToProto(received_at);
  delivery.set_connector_id(event.connector().id());
  NewEvent made = NumberedEvent(n, std::move(event));
  made.received_at = received_at;
  made.identity.window = absl::Minutes(10);
  made.delivery = std::make_shared<v1::Delivery>(std::move(delivery));
  return made;
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_TEST_DELIVERIES_H_
