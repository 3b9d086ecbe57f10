// Deliveries as lines of a table.
#ifndef WAGGLE_CLI_DELIVERY_FORMAT_H_
#define WAGGLE_CLI_DELIVERY_FORMAT_H_

#include <string>

#include "waggle/v1/delivery.pb.h"

namespace waggle {

// The heading of the table, as wide as its lines.
std::string DeliveryHeading();

// What an operator looks at first, in columns, preceded by a line for those
// before it that have no record. Nothing in the delivery can break the line or
// move the cursor of a terminal.
std::string ToTableLine(const v1::Delivery& delivery);

}  // namespace waggle

#endif  // WAGGLE_CLI_DELIVERY_FORMAT_H_
