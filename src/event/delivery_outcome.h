// The outcomes of deliveries by the names that people read: in metrics and in
// log lines.
#ifndef WAGGLE_EVENT_DELIVERY_OUTCOME_H_
#define WAGGLE_EVENT_DELIVERY_OUTCOME_H_

#include <string_view>

#include "waggle/v1/delivery.pb.h"

namespace waggle {

// The enum's own name in lower case, without its prefix: "accepted",
// "unauthenticated". One that is not in the schema is "unspecified". Lives as
// long as the program.
std::string_view Name(v1::DeliveryOutcome outcome);

}  // namespace waggle

#endif  // WAGGLE_EVENT_DELIVERY_OUTCOME_H_
