// Turns what was written into what is meant: fills in the defaults and holds
// every value against its limits.
#ifndef WAGGLE_CONFIG_RESOLVE_H_
#define WAGGLE_CONFIG_RESOLVE_H_

#include "config/config.h"
#include "config/raw_config.h"
#include "config/settings.h"

namespace waggle {

// What is out of its limits becomes a problem of `config`; the result is
// meaningful only if there is none. `demo`: no file was given, see
// Settings::demo.
Settings Resolve(RawConfig& config, bool demo, Exposure exposure);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_RESOLVE_H_
