// What the settings mean for whoever fills the store, the gateway and `waggle
// import` alike: so an event has the same identity whichever of them stores it.
#ifndef WAGGLE_APP_STORE_OPTIONS_H_
#define WAGGLE_APP_STORE_OPTIONS_H_

#include "config/settings.h"
#include "ingest/identity.h"
#include "store/sqlite/sqlite_event_store.h"

namespace waggle {

SqliteOptions StoreOptions(const Settings& settings);

IdentityOptions IdentityOptionsOf(const Settings& settings);

}  // namespace waggle

#endif  // WAGGLE_APP_STORE_OPTIONS_H_
