#include "store/sqlite/sqlite_event_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "store/sqlite/reader_pool.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/write_connection.h"

namespace waggle {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint64_t kLargeWalBytes = 256 << 20;
// The most records in a commit: with events, a fraction of what these cost;
// alone, some milliseconds for the events that come meanwhile.
constexpr size_t kMaxRecordsWithEvents = 128;
constexpr size_t kMaxRecordsAlone = 2048;

// Whether nobody knows what is on the medium now.
bool IsFatal(const absl::Status& status) {
  return !status.ok() && !absl::IsResourceExhausted(status) &&
         !absl::IsUnavailable(status);
}

// What it holds beside itself, as far as that can be much.
size_t SizeOf(const LogRecord& record) {
  if (const auto* delivery = std::get_if<v1::Delivery>(&record)) {
    return delivery->ByteSizeLong();
  }
  const auto* stream = std::get_if<StreamRecord>(&record);
  return stream == nullptr ? 0 : stream->filters.size();
}

absl::Status ClosingError() {
  return absl::UnavailableError("the store is closing");
}

}  // namespace

SqliteEventStore::Instruments::Instruments(Metrics& metrics)
    : commit_seconds(
          metrics.Histogram("waggle_store_commit_seconds",
                            "Time to commit a group of events durably.",
                            Metrics::LatencyBuckets())),
      commit_events(
          metrics.Histogram("waggle_store_commit_events",
                            "Events in a commit, duplicates included.",
                            {1, 2, 4, 8, 16, 32, 64, 128, 256})),
      queue(metrics.Gauge("waggle_store_queue",
                          "Events that wait for their commit.")),
      wal_bytes(metrics.Gauge("waggle_store_wal_bytes",
                              "Size of the write-ahead log in use.")),
      writable(metrics.Gauge("waggle_store_writable",
                             "1 while events can be stored, 0 while not.")),
      free_bytes(metrics.Gauge("waggle_store_free_bytes",
                               "Room on the file system of the store.")) {}

absl::StatusOr<std::unique_ptr<SqliteEventStore>> SqliteEventStore::Open(
    SqliteOptions options, const Clock& clock, Metrics& metrics,
    std::function<void(absl::Status)> on_fatal) {
  WAGGLE_ASSIGN_OR_RETURN(DataDirectory directory,
                          DataDirectory::Lock(options.directory));
  WAGGLE_RETURN_IF_ERROR(CreateIfMissing(directory));
  const std::string path = directory.DatabasePath();
  WAGGLE_RETURN_IF_ERROR(CheckIsOurs(path));
  WAGGLE_ASSIGN_OR_RETURN(
      auto writer,
      WriteConnection::Open(
          path,
          {.dedup_window = options.dedup_window,
           .max_windowed_identities = options.max_windowed_identities,
           .max_checked_bytes = options.max_checked_bytes},
          clock.Now()));
  WAGGLE_ASSIGN_OR_RETURN(auto readers,
                          ReaderPool::Open(path, options.readers));
  return std::unique_ptr<SqliteEventStore>(new SqliteEventStore(
      std::move(options), clock, metrics, std::move(on_fatal),
      std::move(directory), std::move(writer), std::move(readers)));
}

SqliteEventStore::SqliteEventStore(SqliteOptions options, const Clock& clock,
                                   Metrics& metrics,
                                   std::function<void(absl::Status)> on_fatal,
                                   DataDirectory directory,
                                   std::unique_ptr<WriteConnection> writer,
                                   std::unique_ptr<ReaderPool> readers)
    : options_(std::move(options)),
      clock_(clock),
      on_fatal_(std::move(on_fatal)),
      instruments_(metrics),
      directory_(std::move(directory)),
      writer_(std::move(writer)),
      readers_(std::move(readers)),
      id_(writer_->store_id()),
      room_(CheckHeadroom()),
      bounds_(writer_->bounds()),
      thread_([this] { RunWriter(); }) {}

SqliteEventStore::~SqliteEventStore() { Close(); }

StoreBounds SqliteEventStore::Start(Tail tail) {
  tail_ = std::move(tail);
  return Bounds();
}

void SqliteEventStore::Append(NewEvent event, AppendDone done) {
  absl::StatusOr<PendingAppend> append = Prepare(std::move(event));
  absl::Status status = append.status();
  if (status.ok()) {
    append->done = std::move(done);
    status = Enqueue(*append);
    if (status.ok()) return;
    done = std::move(append->done);
  }
  done(std::move(status));
}

// Takes `append` if it is OK.
absl::Status SqliteEventStore::Enqueue(PendingAppend& append) {
  MutexLock lock(mu_);
  WAGGLE_RETURN_IF_ERROR(WritableLocked());
  const size_t bytes = queue_bytes_ + append.bytes();
  // The largest event fits as long as nothing else waits.
  if (!queue_.empty() && (queue_.size() >= options_.max_waiting_events ||
                          bytes > options_.max_waiting_bytes)) {
    return absl::UnavailableError("too many events wait for their commit");
  }
  queue_bytes_ = bytes;
  queue_.push_back(std::move(append));
  instruments_.queue.Set(static_cast<double>(queue_.size()));
  work_.Signal();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredEventPtr>> SqliteEventStore::ReadPage(
    const PageRequest& request) {
  Sequence trimmed_through;
  auto page = readers_->ReadPage(request, trimmed_through);
  if (absl::IsOutOfRange(page.status())) {
    // The writer tells of a trim after its commit, which is when the reader saw
    // it: whoever is told that a position is gone finds that in Bounds().
    MutexLock lock(mu_);
    bounds_.trimmed_through =
        std::max(bounds_.trimmed_through, trimmed_through);
  }
  return page;
}

absl::StatusOr<StoredEventPtr> SqliteEventStore::ReadById(
    std::string_view id, bool include_payload) {
  return readers_->ReadById(id, include_payload);
}

absl::StatusOr<Sequence> SqliteEventStore::PositionBefore(absl::Time time) {
  return readers_->PositionBefore(time);
}

StoreBounds SqliteEventStore::Bounds() const {
  MutexLock lock(mu_);
  return bounds_;
}

absl::Status SqliteEventStore::Writable() const {
  MutexLock lock(mu_);
  return WritableLocked();
}

absl::Status SqliteEventStore::WritableLocked() const {
  if (closing_) return ClosingError();
  return failure_.ok() ? room_ : failure_;
}

absl::Status SqliteEventStore::Trim(const RetentionLimits& limits) {
  TrimJob job;
  const absl::Time oldest = clock_.Now() - limits.max_age;
  job.step = [this, oldest, max_bytes = limits.max_bytes] {
    return writer_->TrimStep(oldest, max_bytes);
  };
  return RunTrim(job);
}

absl::Status SqliteEventStore::TrimDeliveries(const DeliveryRetention& limits) {
  TrimJob job;
  const absl::Time oldest = clock_.Now() - limits.max_age;
  job.step = [this, oldest, limits] {
    return writer_->TrimDeliveriesStep(limits, oldest);
  };
  return RunTrim(job);
}

absl::Status SqliteEventStore::RunTrim(TrimJob& job) {
  MutexLock lock(mu_);
  if (closing_) return ClosingError();
  WAGGLE_RETURN_IF_ERROR(failure_);
  trims_.push_back(&job);
  work_.Signal();
  while (!job.finished) trim_finished_.Wait(mu_);
  return std::move(job.result);
}

void SqliteEventStore::FollowDeliveries(DeliveryTail tail) {
  delivery_tail_ = std::move(tail);
}

bool SqliteEventStore::Record(v1::Delivery refused) {
  std::vector<LogRecord> records;
  records.emplace_back(std::move(refused));
  return EnqueueRecords(std::move(records));
}

bool SqliteEventStore::RecordStream(StreamRecord stream) {
  if (!PackUuid(stream.stream_id)) return false;
  std::vector<LogRecord> records;
  records.emplace_back(std::move(stream));
  return EnqueueRecords(std::move(records));
}

bool SqliteEventStore::RecordProgress(std::vector<StreamProgress> progress) {
  return EnqueueRecords(
      std::vector<LogRecord>(std::make_move_iterator(progress.begin()),
                             std::make_move_iterator(progress.end())));
}

// All or none.
bool SqliteEventStore::EnqueueRecords(std::vector<LogRecord> records) {
  size_t bytes = 0;
  for (const LogRecord& record : records) bytes += SizeOf(record);
  MutexLock lock(mu_);
  if (!WritableLocked().ok() ||
      records_.size() + records.size() > options_.max_waiting_records ||
      record_bytes_ + bytes > options_.max_waiting_record_bytes) {
    return false;
  }
  record_bytes_ += bytes;
  std::move(records.begin(), records.end(), std::back_inserter(records_));
  // Fewer are taken along by the next group, or when the writer wakes up.
  if (records_.size() >= kMaxRecordsWithEvents) work_.Signal();
  return true;
}

absl::StatusOr<DeliveryPage> SqliteEventStore::ListDeliveries(
    const v1::DeliveryFilter& filter, uint64_t before, size_t max) {
  return readers_->ListDeliveries(filter, before, max, recent_commits_);
}

absl::StatusOr<v1::Delivery> SqliteEventStore::ReadDelivery(uint64_t id) {
  return readers_->ReadDelivery(id, recent_commits_);
}

absl::StatusOr<std::vector<v1::Delivery>> SqliteEventStore::DeliveriesOf(
    Sequence sequence, size_t max) {
  return readers_->DeliveriesOf(sequence, max, recent_commits_);
}

absl::StatusOr<std::vector<StreamHandover>> SqliteEventStore::Handovers(
    Sequence sequence, absl::Time since, absl::Time until, size_t max) {
  return readers_->Handovers(sequence, since, until, max);
}

void SqliteEventStore::Close() {
  {
    MutexLock lock(mu_);
    closing_ = true;
    work_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void SqliteEventStore::RunWriter() {
  const absl::Status end = WorkUntilClosing();
  if (end.ok()) {
    RefuseAll(ClosingError());
  } else {
    const absl::Status failure = absl::UnavailableError(
        absl::StrCat("the store failed: ", end.message()));
    {
      MutexLock lock(mu_);
      failure_ = failure;
    }
    instruments_.writable.Set(0);
    on_fatal_(end);
    RefuseAll(failure);
  }
  CloseFiles(/*checkpoint=*/end.ok());
}

// OK once the store is closing and nothing waits to be committed.
absl::Status SqliteEventStore::WorkUntilClosing() {
  for (Work work; WaitForWork(work);) {
    WAGGLE_RETURN_IF_ERROR(
        Commit(std::move(work.group), std::move(work.records)));
    if (work.trim != nullptr) {
      WAGGLE_RETURN_IF_ERROR(AdvanceTrim(*work.trim));
    }
    WAGGLE_RETURN_IF_ERROR(LookForRoom());
    WAGGLE_RETURN_IF_ERROR(Checkpoint());
  }
  return Commit({}, {});
}

bool SqliteEventStore::WaitForWork(Work& work) {
  MutexLock lock(mu_);
  bool waited = false;
  // Without room, records wait until it is time to look for some.
  while (queue_.empty() && trims_.empty() &&
         (records_.size() < kMaxRecordsWithEvents || !room_.ok()) &&
         !closing_ && !waited) {
    waited = !work_.WaitFor(mu_, options_.probe_interval);
  }
  if (queue_.empty() && records_.empty() && closing_) return false;
  const auto end = queue_.begin() + std::min(queue_.size(), options_.max_group);
  work.group.assign(std::make_move_iterator(queue_.begin()),
                    std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  for (const PendingAppend& append : work.group) queue_bytes_ -= append.bytes();
  instruments_.queue.Set(static_cast<double>(queue_.size()));
  const auto records_end =
      records_.begin() + std::min(records_.size(), work.group.empty()
                                                       ? kMaxRecordsAlone
                                                       : kMaxRecordsWithEvents);
  work.records.assign(std::make_move_iterator(records_.begin()),
                      std::make_move_iterator(records_end));
  records_.erase(records_.begin(), records_end);
  for (const LogRecord& record : work.records) record_bytes_ -= SizeOf(record);
  work.trim = trims_.empty() ? nullptr : trims_.front();
  return true;
}

absl::Status SqliteEventStore::Commit(std::vector<PendingAppend> group,
                                      std::vector<LogRecord> records) {
  if (group.empty() && records.empty() && !writer_->HasUnwrittenCommits()) {
    return absl::OkStatus();
  }
  const auto start = SteadyClock::now();
  absl::StatusOr<WriteConnection::Committed> committed =
      [&]() -> absl::StatusOr<WriteConnection::Committed> {
    WAGGLE_RETURN_IF_ERROR(CheckHeadroom());
    return writer_->Commit(absl::MakeSpan(group), absl::MakeSpan(records),
                           clock_.Now());
  }();
  if (!committed.ok()) {
    // What may or may not be stored must not be answered.
    if (IsFatal(committed.status())) return committed.status();
    if (absl::IsResourceExhausted(committed.status())) {
      SetRoom(committed.status());
    }
    if (const size_t dropped = KeepStreams(records); dropped > 0) {
      NoteDropped(dropped, committed.status());
    }
    for (PendingAppend& append : group) append.done(committed.status());
    return absl::OkStatus();
  }
  if (!records.empty()) dropping_records_ = false;
  if (!group.empty()) {
    const std::chrono::duration<double> elapsed = SteadyClock::now() - start;
    instruments_.commit_seconds.Observe(elapsed.count());
    instruments_.commit_events.Observe(static_cast<double>(group.size()));
  }
  if (committed->delivery_commit) {
    recent_commits_.Add(*committed->delivery_commit);
  }
  PublishBounds();
  if (tail_ && !committed->stored.empty()) tail_(committed->stored);
  if (delivery_tail_ && !committed->deliveries.empty()) {
    delivery_tail_(committed->deliveries);
  }
  // The last to let go of a delivery is who made it: memory is freed at far
  // less cost by the thread that it came from.
  committed->deliveries.clear();
  for (size_t i = 0; i < group.size(); ++i) {
    group[i].delivery.reset();
    group[i].done(std::move(committed->answers[i]));
  }
  return absl::OkStatus();
}

// The streams among the records wait again, since the journal takes no progress
// of those that it does not know; unless the store is closing. Returns how many
// records are dropped.
size_t SqliteEventStore::KeepStreams(std::vector<LogRecord>& records) {
  const auto dropped = std::stable_partition(
      records.begin(), records.end(), [](const LogRecord& record) {
        return std::holds_alternative<StreamRecord>(record);
      });
  MutexLock lock(mu_);
  if (closing_) return records.size();
  for (auto kept = records.begin(); kept != dropped; ++kept) {
    record_bytes_ += SizeOf(*kept);
  }
  records_.insert(records_.begin(), std::make_move_iterator(records.begin()),
                  std::make_move_iterator(dropped));
  return static_cast<size_t>(records.end() - dropped);
}

void SqliteEventStore::NoteDropped(size_t records, const absl::Status& reason) {
  if (dropping_records_) return;
  dropping_records_ = true;
  Log(LogLevel::kWarn, "delivery_records_dropped",
      {{"records", records},
       {"error", std::string(reason.message())},
       {"effect",
        "refused deliveries and the progress of streams are not "
        "recorded until the store can be written again"}});
}

absl::Status SqliteEventStore::AdvanceTrim(TrimJob& job) {
  const bool short_of_room = !CheckHeadroom().ok();
  absl::StatusOr<bool> worked =
      job.removed ? writer_->VacuumStep(/*thoroughly=*/short_of_room)
                  : job.step();
  if (!worked.ok()) {
    if (IsFatal(worked.status())) return worked.status();
    Finish(job, std::move(worked).status());
    return absl::OkStatus();
  }
  PublishBounds();
  if (*worked) return absl::OkStatus();
  if (!job.removed) {
    job.removed = true;
    return absl::OkStatus();
  }
  // The file shrinks only with the checkpoint.
  absl::Status status =
      short_of_room ? writer_->CheckpointAll() : absl::OkStatus();
  if (IsFatal(status)) return status;
  Finish(job, status);
  return absl::OkStatus();
}

absl::Status SqliteEventStore::LookForRoom() {
  const auto now = SteadyClock::now();
  if (now < next_probe_) return absl::OkStatus();
  next_probe_ = now + absl::ToChronoNanoseconds(options_.probe_interval);
  absl::Status room = CheckHeadroom();
  bool had_room;
  {
    MutexLock lock(mu_);
    had_room = room_.ok();
  }
  if (room.ok() && !had_room) {
    room = writer_->TryWrite();
    if (IsFatal(room)) return room;
  }
  SetRoom(room);
  return absl::OkStatus();
}

absl::Status SqliteEventStore::CheckHeadroom() const {
  const absl::StatusOr<uint64_t> free = options_.free_bytes(options_.directory);
  if (free.ok()) instruments_.free_bytes.Set(static_cast<double>(*free));
  // If the system does not tell, writing will.
  if (!free.ok() || *free >= options_.min_free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the disk is almost full: ", *free, " bytes are left of the ",
      options_.min_free_bytes, " that the store keeps free"));
}

void SqliteEventStore::SetRoom(const absl::Status& room) {
  bool had_room;
  {
    MutexLock lock(mu_);
    had_room = room_.ok();
    room_ = room;
  }
  instruments_.writable.Set(room.ok());
  if (had_room == room.ok()) return;
  if (room.ok()) {
    Log(LogLevel::kInfo, "store_has_room");
  } else {
    Log(LogLevel::kError, "store_has_no_room",
        {{"error", std::string(room.message())}});
  }
}

absl::Status SqliteEventStore::Checkpoint() {
  absl::Status status = writer_->MaybeCheckpoint();
  if (IsFatal(status)) return status;
  if (absl::IsResourceExhausted(status)) SetRoom(status);
  const uint64_t bytes = writer_->wal_bytes();
  instruments_.wal_bytes.Set(static_cast<double>(bytes));
  const bool is_large = bytes >= kLargeWalBytes;
  if (is_large && !wal_is_large_) {
    Log(LogLevel::kWarn, "store_wal_large",
        {{"bytes", bytes},
         {"hint", "a long-running reader keeps the log from starting over"}});
  }
  wal_is_large_ = is_large;
  return absl::OkStatus();
}

void SqliteEventStore::PublishBounds() {
  MutexLock lock(mu_);
  bounds_ = writer_->bounds();
}

void SqliteEventStore::Finish(TrimJob& job, absl::Status result) {
  MutexLock lock(mu_);
  trims_.erase(std::find(trims_.begin(), trims_.end(), &job));
  job.result = std::move(result);
  job.finished = true;
  trim_finished_.SignalAll();
}

// Once no more is let in.
void SqliteEventStore::RefuseAll(const absl::Status& reason) {
  std::deque<PendingAppend> refused;
  {
    MutexLock lock(mu_);
    refused.swap(queue_);
    queue_bytes_ = 0;
    records_.clear();
    record_bytes_ = 0;
    for (TrimJob* job : trims_) {
      job->result = reason;
      job->finished = true;
    }
    trims_.clear();
    trim_finished_.SignalAll();
  }
  for (PendingAppend& append : refused) append.done(reason);
}

// The readers first: who closes last could otherwise be one of them.
void SqliteEventStore::CloseFiles(bool checkpoint) {
  readers_->Close();
  if (checkpoint) {
    if (const absl::Status status = writer_->CheckpointAll(); !status.ok()) {
      // Nothing is lost: the next start finds the log.
      Log(LogLevel::kWarn, "store_not_checkpointed",
          {{"error", std::string(status.message())}});
    }
  }
  writer_.reset();
  directory_.reset();
}

}  // namespace waggle
