// AsAbsl(view): a std::string_view as Abseil's, for StrCat and hash look-ups.
// They are two types where Abseil was built for C++14, as Debian's is; where
// they are one, this does nothing.
#ifndef WAGGLE_BASE_STRINGS_H_
#define WAGGLE_BASE_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace waggle {

inline absl::string_view AsAbsl(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}

}  // namespace waggle

#endif  // WAGGLE_BASE_STRINGS_H_
