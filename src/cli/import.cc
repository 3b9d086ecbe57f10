#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "CLI/App.hpp"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "app/data_import.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/data_flags.h"
#include "cli/event_file.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/progress_line.h"
#include "cli/report.h"
#include "cli/termination_signals.h"

namespace waggle {
namespace {

constexpr char kCommand[] = "import";

struct Flags {
  std::string file;
  DataFlags data;
  std::string format = "auto";
};

std::optional<EventFormat> FormatOf(const std::string& name) {
  if (name == "jsonl") return EventFormat::kJsonLines;
  if (name == "protobuf") return EventFormat::kProtobuf;
  return std::nullopt;
}

// Reads all of it into the import. Errors name the place.
absl::Status ReadInto(DataImport& import, EventReader& reader,
                      const std::string& name) {
  ProgressLine progress(isatty(STDERR_FILENO) != 0, Tell);
  const auto at_place = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(name, ", ", reader.Place(),
                                                    ": ", status.message()));
  };
  for (uint64_t events = 0;; ++events) {
    absl::StatusOr<std::optional<v1::Event>> event = reader.Next();
    if (absl::IsCancelled(event.status())) return event.status();
    if (!event.ok()) return at_place(event.status());
    if (!event->has_value()) {
      progress.Finish(absl::StrCat("read ", events, " events"));
      if (events > 0) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(name, " holds no event"));
    }
    if (const absl::Status status = import.Add(**std::move(event));
        !status.ok()) {
      // Other errors are of events before.
      return absl::IsInvalidArgument(status) ? at_place(status) : status;
    }
    if (progress.IsDue(std::chrono::steady_clock::now())) {
      progress.Show(absl::StrCat("read ", events + 1, " events"));
    }
  }
}

// Until there is something to read from `cancelled`.
absl::StatusOr<Imported> ImportFile(const Flags& flags, int cancelled) {
  WAGGLE_ASSIGN_OR_RETURN(const Settings settings,
                          LoadDataSettings(flags.data));
  const bool standard = flags.file == "-";
  const std::string name = standard ? "standard input" : flags.file;
  const int fd =
      standard ? STDIN_FILENO
               // A pipe's writer is waited for where that can be cancelled.
               : open(flags.file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
  }
  const auto closer = absl::MakeCleanup([fd, standard] {
    if (!standard) close(fd);
  });
  EventReader reader(fd, FormatOf(flags.format), cancelled);
  WAGGLE_ASSIGN_OR_RETURN(const auto import, DataImport::Begin(settings));
  WAGGLE_RETURN_IF_ERROR(ReadInto(*import, reader, name));
  return import->Finish();
}

int Import(const Flags& flags) {
  TerminationSignals signals;
  const int cancelled = eventfd(0, EFD_CLOEXEC);
  const auto closer = absl::MakeCleanup([cancelled] { close(cancelled); });
  const TerminationSignals::Handler stop(
      signals, [cancelled] { eventfd_write(cancelled, 1); });
  const absl::StatusOr<Imported> imported = ImportFile(flags, cancelled);
  if (!imported.ok()) {
    Fail(kCommand, imported.status());
    Tell("nothing was imported\n");
    return kExitFailure;
  }
  if (!imported->durable.ok()) {
    Tell(absl::StrCat(
        "waggle import: the events are in place, but it is not certain that "
        "they survive a power cut: ",
        imported->durable.message(),
        ". Once the disk is sound, move the data directory away and import "
        "again\n"));
    return kExitFailure;
  }
  WriteAll(STDOUT_FILENO, absl::StrCat(imported->events, " events\n"))
      .IgnoreError();
  return kExitOk;
}

constexpr char kFooter[] = R"(
Reads events that `waggle export` wrote into the data directory of a gateway
that does not run, and holds no events: the directory is made if it is missing.
Ids, order, times of arrival and payloads stay; sequences begin at 1, and the
time from which retention counts is now. What Bindbee repeats later is a
duplicate as before; give --config, so that identities are those of the gateway
that will use the data. Consumers begin anew: their cursors are of another
store. The delivery log is not part of an export.

All or nothing: on any error the directory holds no events, as before; unless
the error is that they are in place, but perhaps not durable.

Examples:
  waggle import events.jsonl --config /etc/waggle/waggle.yaml
  zcat events.jsonl.gz | waggle import - --data /var/lib/waggle)";

}  // namespace

Command AddImport(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      kCommand, "Fill an empty gateway's data with exported events");
  auto flags = std::make_shared<Flags>();
  command
      ->add_option("file", flags->file, "The events; \"-\" for standard input")
      ->required()
      ->type_name("FILE");
  AddDataFlags(*command, flags->data);
  command
      ->add_option("--format", flags->format,
                   "jsonl or protobuf; auto knows it by the first bytes")
      ->type_name("auto|jsonl|protobuf")
      ->check(CLI::IsMember({"auto", "jsonl", "protobuf"}).description(""))
      ->capture_default_str();
  command->footer(kFooter);
  return {command, [flags] { return Import(*flags); }};
}

}  // namespace waggle
