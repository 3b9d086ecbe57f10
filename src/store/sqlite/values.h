// The domain's values as SQLite holds them: its integers are signed, and ids
// are blobs of a fixed size.
#ifndef WAGGLE_STORE_SQLITE_VALUES_H_
#define WAGGLE_STORE_SQLITE_VALUES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "event/sequence.h"

namespace waggle {

// The largest that there is for what is larger.
inline int64_t ToInt(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX));
}

inline int64_t ToInt(Sequence sequence) { return ToInt(sequence.value()); }

inline Sequence ToSequence(int64_t value) {
  return Sequence(static_cast<uint64_t>(value));
}

// Of an array of bytes, such as a Uuid, which must outlive the view.
template <typename Array>
std::string_view AsView(const Array& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size()};
}

// DATA_LOSS if the size is another.
template <typename Array>
absl::StatusOr<Array> ToArray(std::string_view bytes) {
  Array array;
  if (bytes.size() != array.size()) {
    return absl::DataLossError("an id in the database has the wrong size");
  }
  std::memcpy(array.data(), bytes.data(), bytes.size());
  return array;
}

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_VALUES_H_
