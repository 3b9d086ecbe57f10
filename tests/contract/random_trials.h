// Random sequences of operations over something that is under trial, beside
// what it is compared with:
//
//   EXPECT_TRUE(HoldsInRandomTrials<Trial>(GetParam()));
//
// A Trial is made of the store under test. Its Do(operation, a, b) makes of
// three random bytes what it needs, and CheckAll() comes at the end.
#ifndef WAGGLE_TESTS_CONTRACT_RANDOM_TRIALS_H_
#define WAGGLE_TESTS_CONTRACT_RANDOM_TRIALS_H_

#include <cstdint>
#include <tuple>
#include <vector>

#include "rapidcheck.h"
#include "tests/contract/event_store_contract.h"

namespace waggle {

template <typename Trial>
bool HoldsInRandomTrials(const StoreUnderTest& store) {
  using Operation = std::tuple<uint8_t, uint8_t, uint8_t>;
  return rc::check([&store](const std::vector<Operation>& operations) {
    Trial trial(store);
    for (const auto& [operation, a, b] : operations) trial.Do(operation, a, b);
    trial.CheckAll();
  });
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_CONTRACT_RANDOM_TRIALS_H_
