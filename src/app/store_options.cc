#include "app/store_options.h"

namespace waggle {

SqliteOptions StoreOptions(const Settings& settings) {
  SqliteOptions options;
  options.directory = settings.store.path;
  options.readers = static_cast<int>(settings.store.readers);
  options.dedup_window = settings.ingest.dedup_window;
  return options;
}

IdentityOptions IdentityOptionsOf(const Settings& settings) {
  return {
      .dedup_window = settings.ingest.dedup_window,
      .dedup_syncs_while_retained = settings.ingest.dedup_syncs_while_retained};
}

}  // namespace waggle
