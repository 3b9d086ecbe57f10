#include "config/raw_config.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace waggle {

using google::protobuf::FieldDescriptor;

std::string JoinPath(absl::string_view parent, absl::string_view name) {
  return parent.empty() ? std::string(name) : absl::StrCat(parent, ".", name);
}

std::string CheckText(absl::string_view text) {
  if (text.empty()) return "is empty; leave it out for the default";
  if (std::any_of(text.begin(), text.end(), absl::ascii_iscntrl)) {
    return "contains control characters";
  }
  return "";
}

std::string SetScalar(google::protobuf::Message& message,
                      const FieldDescriptor& field, const std::string& text) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (std::string problem = CheckText(text); !problem.empty()) {
        return problem;
      }
      reflection.SetString(&message, &field, text);
      return "";
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") {
        return absl::StrCat("\"", absl::CEscape(text),
                            "\" is not true or false");
      }
      reflection.SetBool(&message, &field, text == "true");
      return "";
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t value = 0;
      if (text.empty() ||
          !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
          !absl::SimpleAtoi(text, &value)) {
        return absl::StrCat("\"", absl::CEscape(text),
                            "\" is not a whole number up to 4294967295");
      }
      reflection.SetUInt32(&message, &field, value);
      return "";
    }
    default:
      return "has a type that the schema must not use";
  }
}

}  // namespace waggle
