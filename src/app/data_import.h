// Fills the data directory of a gateway, which must not run, with events that
// came out of another one. All or nothing: a store that was there and is empty
// is replaced by Finish(); on any error it stays as it was.
//
//   auto import = DataImport::Begin(settings);
//   for (...) if (!(*import)->Add(event).ok()) ...
//   absl::StatusOr<Imported> imported = (*import)->Finish();
#ifndef WAGGLE_APP_DATA_IMPORT_H_
#define WAGGLE_APP_DATA_IMPORT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/settings.h"
#include "waggle/v1/event.pb.h"

namespace waggle {

struct Imported {
  uint64_t events = 0;
  // Why it is not certain that they survive a power cut, unless it is.
  absl::Status durable;
};

// For one thread.
class DataImport {
 public:
  // Into settings.store.path, with the identities that settings.ingest gives.
  // FAILED_PRECONDITION if there are events, or a gateway runs. Errors say what
  // to do.
  static absl::StatusOr<std::unique_ptr<DataImport>> Begin(
      const Settings& settings);
  // What is not finished is removed.
  ~DataImport();

  // As EventImporter::Import.
  absl::Status Add(v1::Event event);

  // Makes them a gateway's data.
  absl::StatusOr<Imported> Finish();

 private:
  class Parts;
  explicit DataImport(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace waggle

#endif  // WAGGLE_APP_DATA_IMPORT_H_
