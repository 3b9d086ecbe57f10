// "Did you mean": finds what a mistyped name was meant to be.
#ifndef WAGGLE_CONFIG_SUGGEST_H_
#define WAGGLE_CONFIG_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace waggle {

// "; did you mean \"listen\"?", with the candidate that is nearest to `name`,
// to be appended to a message; empty if none is near.
std::string DidYouMean(absl::string_view name,
                       const std::vector<std::string>& candidates);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_SUGGEST_H_
