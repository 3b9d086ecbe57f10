// Values of flags that several commands take. Every function's INVALID_ARGUMENT
// names the flag and what it takes.
#ifndef WAGGLE_CLI_FLAG_VALUES_H_
#define WAGGLE_CLI_FLAG_VALUES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/repeated_field.h"
#include "google/protobuf/timestamp.pb.h"

namespace waggle {

// Adds the enum's values that have these short names (that of
// EVENT_TYPE_SYNC_COMPLETED is "sync_completed"), in any case and with hyphens
// or underscores. UNSPECIFIED is none.
absl::Status AddEnums(const std::string& flag,
                      const google::protobuf::EnumDescriptor& descriptor,
                      const std::vector<std::string>& texts,
                      google::protobuf::RepeatedField<int>* out);

// Adds texts that are not empty.
absl::Status AddStrings(const std::string& flag,
                        const std::vector<std::string>& texts,
                        google::protobuf::RepeatedPtrField<std::string>* out);

// A moment since 1970.
absl::Status SetTimestamp(const std::string& flag, absl::Time time,
                          google::protobuf::Timestamp* out);

// "2025-01-31T08:00:00Z" (RFC 3339), or "2h" before `now`.
absl::StatusOr<absl::Time> MomentFromText(const std::string& flag,
                                          const std::string& text,
                                          absl::Time now);

}  // namespace waggle

#endif  // WAGGLE_CLI_FLAG_VALUES_H_
