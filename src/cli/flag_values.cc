#include "cli/flag_values.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/suggest.h"
#include "config/values.h"
#include "event/enum_names.h"

namespace waggle {

using google::protobuf::EnumDescriptor;
using google::protobuf::RepeatedField;
using google::protobuf::RepeatedPtrField;

absl::Status AddEnums(const std::string& flag, const EnumDescriptor& descriptor,
                      const std::vector<std::string>& texts,
                      RepeatedField<int>* out) {
  for (const std::string& text : texts) {
    const std::optional<int> number = NumberOf(descriptor, text);
    if (!number.has_value()) {
      const std::vector<std::string> known = ShortNames(descriptor);
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": \"", text, "\" is not one of ", absl::StrJoin(known, ", "),
          DidYouMean(
              absl::StrReplaceAll(absl::AsciiStrToLower(text), {{"-", "_"}}),
              known)));
    }
    out->Add(*number);
  }
  return absl::OkStatus();
}

absl::Status AddStrings(const std::string& flag,
                        const std::vector<std::string>& texts,
                        RepeatedPtrField<std::string>* out) {
  for (const std::string& text : texts) {
    if (text.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": must not be empty"));
    }
    *out->Add() = text;
  }
  return absl::OkStatus();
}

absl::Status SetTimestamp(const std::string& flag, absl::Time time,
                          google::protobuf::Timestamp* out) {
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  if (since_epoch < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": is before 1970"));
  }
  out->set_seconds(absl::ToInt64Seconds(since_epoch));
  out->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(since_epoch % absl::Seconds(1))));
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> MomentFromText(const std::string& flag,
                                          const std::string& text,
                                          absl::Time now) {
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return time;
  if (const auto ago = DurationFromText(text); ago.ok()) return now - *ago;
  return absl::InvalidArgumentError(absl::StrCat(
      flag, ": \"", text,
      "\" is not a time such as 2025-01-31T08:00:00Z, or a duration ago such "
      "as 2h"));
}

}  // namespace waggle
