#include "event/delivery_outcome.h"

#include <array>
#include <string>

#include "absl/strings/ascii.h"

namespace waggle {
namespace {

using OutcomeNames = std::array<std::string, v1::DeliveryOutcome_ARRAYSIZE>;

OutcomeNames MakeNames() {
  constexpr size_t kPrefix = sizeof("DELIVERY_OUTCOME_") - 1;
  OutcomeNames names;
  for (int i = 0; i < v1::DeliveryOutcome_ARRAYSIZE; ++i) {
    const std::string& name =
        v1::DeliveryOutcome_Name(static_cast<v1::DeliveryOutcome>(i));
    names[i] = absl::AsciiStrToLower(name.substr(kPrefix));
  }
  return names;
}

}  // namespace

std::string_view Name(v1::DeliveryOutcome outcome) {
  static const OutcomeNames& names = *new OutcomeNames(MakeNames());
  return names[v1::DeliveryOutcome_IsValid(outcome) ? outcome : 0];
}

}  // namespace waggle
