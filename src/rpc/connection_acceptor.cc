#include "rpc/connection_acceptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "base/log.h"

namespace waggle::rpc {
namespace {

// So that refusing is cheap, however many come.
constexpr std::chrono::milliseconds kSweepPause(50);
constexpr double kLoggedPerSecond = 1;

std::optional<ino_t> InodeOf(int fd) {
  struct stat about {};
  if (fstat(fd, &about) != 0) return std::nullopt;
  return about.st_ino;
}

}  // namespace

ConnectionAcceptor::ConnectionAcceptor(const ConnectionQuota& quota,
                                       std::function<void()> on_failed,
                                       Metrics& metrics)
    : limits_(quota.all, quota.per_address, /*max_refused=*/0),
      open_(metrics.Gauge("waggle_grpc_connections",
                          "Open connections of the gRPC listener.")),
      refused_(metrics.Counter("waggle_grpc_connections_refused_total",
                               "Connections to the gRPC listener that were "
                               "closed, since too many were open.")),
      lines_({.per_second = kLoggedPerSecond, .burst = kLoggedPerSecond}),
      listener_([this](int fd) { Accept(fd); }, std::move(on_failed)) {}

ConnectionAcceptor::~ConnectionAcceptor() { Stop(); }

void ConnectionAcceptor::AddTo(
    grpc::ServerBuilder& builder,
    std::shared_ptr<grpc::ServerCredentials> credentials) {
  grpc_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      std::move(credentials));
}

void ConnectionAcceptor::UpdateMetrics() {
  MutexLock lock(mu_);
  Sweep();
  open_.Set(static_cast<double>(held_.size()));
}

void ConnectionAcceptor::Accept(int fd) {
  const std::string remote_address = RemoteAddress(fd);
  if (!Admit(fd, AddressKey(remote_address))) {
    Refuse(fd, remote_address);
    return;
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
      connection;
  connection.fd = fd;
  grpc_->HandleNewConnection(&connection);
}

bool ConnectionAcceptor::Admit(int fd, const std::string& address) {
  const std::optional<ino_t> inode = InodeOf(fd);
  if (!inode.has_value()) return false;
  MutexLock lock(mu_);
  // What had the number before is gone.
  if (const auto old = held_.find(fd); old != held_.end()) {
    limits_.Leave(old->second.address, ConnectionLimits::Verdict::kAdmitted);
    held_.erase(old);
  }
  if (!limits_.Enter(address).counted) {
    const auto now = std::chrono::steady_clock::now();
    if (now - swept_at_ < kSweepPause) return false;
    swept_at_ = now;
    Sweep();
    if (!limits_.Enter(address).counted) return false;
  }
  held_.emplace(fd, Held{*inode, address});
  return true;
}

void ConnectionAcceptor::Sweep() {
  absl::erase_if(held_, [this](const auto& entry) {
    const auto& [fd, held] = entry;
    if (InodeOf(fd) == held.inode) return false;
    limits_.Leave(held.address, ConnectionLimits::Verdict::kAdmitted);
    return true;
  });
}

void ConnectionAcceptor::Refuse(int fd, const std::string& remote_address) {
  refused_.Increment();
  close(fd);
  if (!lines_.Take("")) return;
  Log(LogLevel::kWarn, "grpc_connection_refused",
      {{"remote", remote_address},
       {"reason", "too many connections are open, in all or of this address"},
       {"action",
        "raise grpc.max_connections or grpc.max_connections_per_address if "
        "this is a client of yours"}});
}

}  // namespace waggle::rpc
