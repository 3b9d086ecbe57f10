// The servers that are measured, each in a child process: how to start one, and
// what the children run.
#ifndef WAGGLE_BENCH_SERVERS_H_
#define WAGGLE_BENCH_SERVERS_H_

#include <memory>
#include <string>

#include "child_process.h"

namespace waggle::bench {

// A temporary directory that goes with its object.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The real program: `waggle serve` on loopback, with the demo's key.
class GatewayProcess {
 public:
  // Its data, configuration and log are in `directory`, with the data in
  // DataDirectory().
  GatewayProcess(const std::string& program, const std::string& directory);

  static std::string DataDirectory(const std::string& directory);

  ChildProcess& process() { return *process_; }
  int webhook_port() const { return webhook_port_; }
  int grpc_port() const { return grpc_port_; }

 private:
  std::unique_ptr<ChildProcess> process_;
  int webhook_port_ = 0;
  int grpc_port_ = 0;
};

// What the children of this program run, until standard input ends. Each
// returns main's result.

// cpp-httplib with a handler that does nothing.
int ServeBareHttp();

// gRPC streams that each begin with a message without events and, from the
// command "start" on, write one prebuilt message of 64 events again and again.
int ServeBareStreams();

// The same over TLS, with the certificate in the directory, as MakeCertificates
// wrote it.
int ServeBareStreamsWithTls(const std::string& directory);

// Waggle's fan-out over the store in memory. From "start" on, events are
// appended as fast as the slowest subscriber takes them.
int ServeFanOut();

// The same for a caller with kToken alone, whose rights name an event type and
// leave out personal data, so that each event is looked at and rewritten.
int ServeFanOutWithRights();

// The same over TLS.
int ServeFanOutWithTls(const std::string& directory);

// Waggle's accepting with the demo's key over the embedded store in the
// directory, with or without the delivery log.
int ServeAccepts(const std::string& directory, bool record_deliveries);

inline constexpr char kToken[] = "bench";

// Makes a certificate for "localhost" and its authority. Returns the
// authority's, in PEM.
std::string MakeCertificates(const std::string& directory);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_SERVERS_H_
