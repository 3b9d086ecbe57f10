#include "app/data_import.h"

#include <cstdlib>
#include <utility>

#include "app/store_options.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status_macros.h"
#include "ingest/event_importer.h"
#include "store/sqlite/draft_directory.h"
#include "store/sqlite/sqlite_event_store.h"

namespace waggle {

// Members are in the order of construction; a member may use those above it.
class DataImport::Parts {
 public:
  static absl::StatusOr<std::unique_ptr<Parts>> Make(const Settings& settings) {
    WAGGLE_ASSIGN_OR_RETURN(DraftDirectory draft,
                            DraftDirectory::Create(settings.store.path));
    auto parts = std::unique_ptr<Parts>(new Parts(std::move(draft)));
    SqliteOptions options = StoreOptions(settings);
    options.directory = parts->draft_.path();
    WAGGLE_ASSIGN_OR_RETURN(
        parts->store_,
        SqliteEventStore::Open(std::move(options), parts->clock_,
                               parts->metrics_, [](const absl::Status& error) {
                                 Log(LogLevel::kError, "fatal",
                                     {{"reason", error.ToString()},
                                      {"action",
                                       "nothing was imported; import again "
                                       "once the disk is sound"}});
                                 std::_Exit(EXIT_FAILURE);
                               }));
    parts->store_->Start(nullptr);
    parts->importer_ = std::make_unique<EventImporter>(
        *parts->store_, IdentityOptionsOf(settings));
    return parts;
  }

  EventImporter& importer() { return *importer_; }

  absl::StatusOr<Imported> Finish() {
    WAGGLE_ASSIGN_OR_RETURN(const uint64_t events, importer_->Finish());
    store_->Close();
    WAGGLE_RETURN_IF_ERROR(draft_.Publish());
    return Imported{events, draft_.Sync()};
  }

 private:
  explicit Parts(DraftDirectory draft) : draft_(std::move(draft)) {}

  DraftDirectory draft_;
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<SqliteEventStore> store_;
  std::unique_ptr<EventImporter> importer_;
};

absl::StatusOr<std::unique_ptr<DataImport>> DataImport::Begin(
    const Settings& settings) {
  WAGGLE_ASSIGN_OR_RETURN(auto parts, Parts::Make(settings));
  return std::unique_ptr<DataImport>(new DataImport(std::move(parts)));
}

DataImport::DataImport(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}

DataImport::~DataImport() = default;

absl::Status DataImport::Add(v1::Event event) {
  return parts_->importer().Import(std::move(event));
}

absl::StatusOr<Imported> DataImport::Finish() { return parts_->Finish(); }

}  // namespace waggle
