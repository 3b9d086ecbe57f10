#include "event/enum_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"

namespace waggle {
namespace {

using google::protobuf::EnumDescriptor;

// How much of the names all values share.
size_t PrefixSize(const EnumDescriptor& descriptor) {
  constexpr std::string_view kUnspecified = "UNSPECIFIED";
  return descriptor.value(0)->name().size() - kUnspecified.size();
}

}  // namespace

std::vector<std::string> ShortNames(const EnumDescriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 1; i < descriptor.value_count(); ++i) {
    names.push_back(absl::AsciiStrToLower(
        descriptor.value(i)->name().substr(PrefixSize(descriptor))));
  }
  return names;
}

std::optional<int> NumberOf(const EnumDescriptor& descriptor,
                            std::string_view name) {
  const std::string wanted =
      absl::StrReplaceAll(absl::AsciiStrToUpper(AsAbsl(name)), {{"-", "_"}});
  for (int i = 1; i < descriptor.value_count(); ++i) {
    const std::string& whole = descriptor.value(i)->name();
    if (whole == wanted || whole.substr(PrefixSize(descriptor)) == wanted) {
      return descriptor.value(i)->number();
    }
  }
  return std::nullopt;
}

}  // namespace waggle
