// The values of the schema's enums by the names that people write.
#ifndef WAGGLE_EVENT_ENUM_NAMES_H_
#define WAGGLE_EVENT_ENUM_NAMES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace waggle {

// The short names of all values but UNSPECIFIED: that of
// EVENT_TYPE_SYNC_COMPLETED is "sync_completed".
std::vector<std::string> ShortNames(
    const google::protobuf::EnumDescriptor& descriptor);

// The number of the value of this short or whole name, in any case and with
// hyphens or underscores. UNSPECIFIED has none.
std::optional<int> NumberOf(const google::protobuf::EnumDescriptor& descriptor,
                            std::string_view name);

}  // namespace waggle

#endif  // WAGGLE_EVENT_ENUM_NAMES_H_
