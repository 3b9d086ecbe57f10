#include "api/stream_registry.h"

#include <chrono>
#include <utility>

#include "api/errors.h"
#include "api/stream_timing.h"

namespace waggle {
namespace {

// How exact heartbeats and ages are.
constexpr absl::Duration kTick = absl::Milliseconds(250);

}  // namespace

StreamRegistry::StreamRegistry(const StreamLimits& limits,
                               std::function<void()> on_tick)
    : limits_(limits), on_tick_(std::move(on_tick)) {
  ticker_ = std::thread([this] { RunTicker(); });
}

StreamRegistry::~StreamRegistry() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.SignalAll();
  ticker_.join();
}

std::optional<StreamQuota> StreamRegistry::Add(
    const std::shared_ptr<Stream>& stream, StreamOwner owner) {
  MutexLock lock(mu_);
  const auto count = [](const Counts& counts, const std::string& key) {
    const auto found = counts.find(key);
    return found == counts.end() ? 0 : found->second;
  };
  if (static_cast<int>(streams_.size()) >= limits_.all) {
    return StreamQuota{"streams", limits_.all};
  }
  if (count(by_principal_, owner.principal) >= limits_.per_principal) {
    return StreamQuota{"streams of one principal", limits_.per_principal};
  }
  if (count(by_address_, owner.address) >= limits_.per_address) {
    return StreamQuota{"streams of one address", limits_.per_address};
  }
  if (count(by_connection_, owner.connection) >= limits_.per_connection) {
    return StreamQuota{"streams of one connection", limits_.per_connection};
  }
  ++by_principal_[owner.principal];
  ++by_address_[owner.address];
  ++by_connection_[owner.connection];
  streams_.emplace(stream.get(), Entry{stream, std::move(owner)});
  return std::nullopt;
}

absl::Status StreamRegistry::Enter(const std::shared_ptr<Stream>& stream,
                                   const Admission& admission, Gate& gate,
                                   std::string_view method) {
  const std::optional<StreamQuota> in_the_way =
      Add(stream, {admission.caller.principal->name, admission.address,
                   admission.connection});
  // Asked after Add(): Drain() tells only what was added before it.
  if (draining()) {
    return StreamRotated("the gateway is draining", kRotateRetry);
  }
  if (!in_the_way.has_value()) return absl::OkStatus();
  return gate.Refuse(admission, method,
                     TooMany(in_the_way->what, in_the_way->limit));
}

void StreamRegistry::Remove(const Stream* stream) {
  Entry let_go;  // after the lock
  MutexLock lock(mu_);
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  let_go = std::move(it->second);
  streams_.erase(it);
  const auto uncount = [](Counts& counts, const std::string& key) {
    const auto found = counts.find(key);
    if (--found->second == 0) counts.erase(found);
  };
  uncount(by_principal_, let_go.owner.principal);
  uncount(by_address_, let_go.owner.address);
  uncount(by_connection_, let_go.owner.connection);
  if (streams_.empty()) changed_.SignalAll();
}

void StreamRegistry::Drain() {
  {
    MutexLock lock(mu_);
    draining_ = true;
  }
  for (const auto& stream : Snapshot()) stream->Drain();
}

bool StreamRegistry::draining() const {
  MutexLock lock(mu_);
  return draining_;
}

bool StreamRegistry::WaitUntilEmpty(absl::Duration timeout) {
  using SteadyClock = std::chrono::steady_clock;
  const auto deadline = SteadyClock::now() + absl::ToChronoNanoseconds(timeout);
  MutexLock lock(mu_);
  while (!streams_.empty()) {
    const auto left = absl::FromChrono(deadline - SteadyClock::now());
    if (left <= absl::ZeroDuration()) return false;
    changed_.WaitFor(mu_, left);
  }
  return true;
}

void StreamRegistry::Abort() {
  for (const auto& stream : Snapshot()) stream->Abort();
}

std::vector<std::shared_ptr<Stream>> StreamRegistry::Snapshot() const {
  MutexLock lock(mu_);
  std::vector<std::shared_ptr<Stream>> streams;
  streams.reserve(streams_.size());
  for (const auto& [key, entry] : streams_) streams.push_back(entry.stream);
  return streams;
}

void StreamRegistry::RunTicker() {
  while (true) {
    {
      MutexLock lock(mu_);
      if (!stopping_) changed_.WaitFor(mu_, kTick);
      if (stopping_) return;
    }
    for (const auto& stream : Snapshot()) stream->Tick();
    on_tick_();
  }
}

}  // namespace waggle
