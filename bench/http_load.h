// Posts signed webhooks over kept-alive connections, one at a time on each, as
// fast as they are answered. Raw sockets and prepared bytes, so that the load
// costs little of the cores that it shares with the server.
#ifndef WAGGLE_BENCH_HTTP_LOAD_H_
#define WAGGLE_BENCH_HTTP_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace waggle::bench {

// Requests that differ in one id of their body and hence in their signature: no
// two of a process's life are equal, so none is a duplicate.
class WebhookSupply {
 public:
  WebhookSupply();

  // What distinguishes one request.
  struct Distinct {
    char id[36];
    char signature[44];
  };
  // Signs that many.
  std::vector<Distinct> Make(size_t count);

  // A whole request, into which Put() writes.
  const std::string& request() const { return request_; }
  void Put(const Distinct& distinct, std::string& request) const;

 private:
  std::string body_;
  size_t id_in_body_ = 0;
  std::string request_;
  size_t body_in_request_ = 0;
  size_t signature_in_request_ = 0;
  uint32_t run_ = 0;
  uint64_t made_ = 0;
};

struct HttpLoadResult {
  double per_second = 0;
  // All, also while warming up.
  double answered = 0;
  double p50_us = 0;
  double p99_us = 0;
};

// Loads 127.0.0.1:`port` for about `seconds`, after a fifth of that to warm up.
// Ends the program if anything but 200 is answered.
HttpLoadResult LoadHttp(WebhookSupply& supply, int port, int connections,
                        double seconds);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_HTTP_LOAD_H_
