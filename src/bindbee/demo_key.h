// The signing key of the gateway that runs without a configuration, for trying
// things out on one machine. Everybody knows it: it protects nothing.
#ifndef WAGGLE_BINDBEE_DEMO_KEY_H_
#define WAGGLE_BINDBEE_DEMO_KEY_H_

#include <string_view>

namespace waggle {

inline constexpr std::string_view kDemoKey = "whsec_demo_3f9c0a7e5b";

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_DEMO_KEY_H_
