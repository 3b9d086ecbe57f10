#include "cli/flag_values.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/suggest.h"
#include "config/values.h"

namespace waggle {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::RepeatedField;
using google::protobuf::RepeatedPtrField;

namespace {

// Without what it shares with the enum's zero, which is UNSPECIFIED.
std::string ShortName(const EnumValueDescriptor& value) {
  constexpr size_t kUnspecified = sizeof("UNSPECIFIED") - 1;
  const size_t prefix = value.type()->value(0)->name().size() - kUnspecified;
  return absl::AsciiStrToLower(value.name().substr(prefix));
}

}  // namespace

absl::Status AddEnums(const std::string& flag, const EnumDescriptor& descriptor,
                      const std::vector<std::string>& texts,
                      RepeatedField<int>* out) {
  for (const std::string& text : texts) {
    const std::string wanted =
        absl::StrReplaceAll(absl::AsciiStrToLower(text), {{"-", "_"}});
    bool found = false;
    std::vector<std::string> known;
    for (int i = 1; i < descriptor.value_count(); ++i) {
      const EnumValueDescriptor& value = *descriptor.value(i);
      known.push_back(ShortName(value));
      if (known.back() != wanted) continue;
      out->Add(value.number());
      found = true;
    }
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": \"", text, "\" is not one of ",
                       absl::StrJoin(known, ", "), DidYouMean(wanted, known)));
    }
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
