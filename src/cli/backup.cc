#include "app/backup.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/data_flags.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/progress_line.h"
#include "cli/report.h"
#include "cli/termination_signals.h"
#include "cli/text.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "backup";

struct Flags {
  std::string file;
  DataFlags data;
};

std::string Line(std::string_view step, uint64_t done, uint64_t total) {
  std::string line(step);
  if (total != 0) {
    absl::StrAppend(&line, ": ", std::min<uint64_t>(100 * done / total, 100),
                    "%");
  }
  return line;
}

int Backup(const Flags& flags) {
  TerminationSignals signals;
  std::atomic<bool> cancelled = false;
  const TerminationSignals::Handler stop(signals, [&] { cancelled = true; });
  const absl::StatusOr<Settings> settings = LoadDataSettings(flags.data);
  if (!settings.ok()) {
    Fail(kCommand, settings.status());
    return kExitFailure;
  }
  ProgressLine progress(isatty(STDERR_FILENO) != 0, Tell);
  const absl::StatusOr<BackupSummary> done =
      BackUpData(settings->store.path, flags.file,
                 [&](std::string_view step, uint64_t done, uint64_t total) {
                   if (progress.IsDue(std::chrono::steady_clock::now())) {
                     progress.Show(Line(step, done, total));
                   }
                   return !cancelled;
                 });
  progress.Finish(done.ok() ? "copied and checked" : "not copied");
  if (!done.ok()) {
    Fail(kCommand, cancelled
                       ? absl::CancelledError("cancelled: no file is left")
                       : done.status());
    return kExitFailure;
  }
  WriteAll(STDOUT_FILENO,
           absl::StrCat(flags.file, ": ", done->events, " events, ",
                        BytesText(done->bytes), "\n"))
      .IgnoreError();
  return kExitOk;
}

constexpr char kFooter[] = R"(
Copies the data of a gateway, which may run meanwhile, to one file: everything
that was acknowledged before the command began, as of one moment. The copy is
complete and checked (every page, and the checksum of every event) before it
gets its name; a file that exists is never replaced. It holds what Bindbee sent
and no keys, and only its owner can read it.

While it copies, the gateway's write-ahead log cannot start over and grows by
what comes meanwhile; keep as much disk free, and the size of the data for the
copy.

To restore: stop the gateway, move the files of its data directory away, put
the copy there as events.db, start the gateway. The data is then a store of its
own: consumers' cursors from before get CURSOR_STORE_MISMATCH, since what came
after the copy is not in it, and each consumer decides how to go on.

Examples:
  waggle backup --config /etc/waggle/waggle.yaml /backup/waggle-$(date +%F).db
  waggle backup --data /var/lib/waggle copy.db)";

}  // namespace

Command AddBackup(CLI::App& app) {
  CLI::App* backup = app.add_subcommand(
      kCommand, "Copy a gateway's data to a file while it runs");
  auto flags = std::make_shared<Flags>();
  backup->add_option("file", flags->file, "The copy, which must not exist")
      ->required()
      ->type_name("FILE");
  AddDataFlags(*backup, flags->data);
  backup->footer(kFooter);
  return {backup, [flags] { return Backup(*flags); }};
}

}  // namespace waggle
