// An event's place in a store's order. Increases, with gaps allowed; the first
// event has a sequence of at least 1. Sequence() is "before everything".
#ifndef WAGGLE_EVENT_SEQUENCE_H_
#define WAGGLE_EVENT_SEQUENCE_H_

#include <compare>
#include <cstdint>
#include <utility>

namespace waggle {

class Sequence {
 public:
  constexpr Sequence() = default;
  constexpr explicit Sequence(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr Sequence Next() const { return Sequence(value_ + 1); }

  friend constexpr auto operator<=>(Sequence, Sequence) = default;
  template <typename H>
  friend H AbslHashValue(H h, Sequence s) {
    return H::combine(std::move(h), s.value_);
  }

 private:
  uint64_t value_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_EVENT_SEQUENCE_H_
