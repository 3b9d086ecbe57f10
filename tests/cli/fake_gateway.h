// A gateway as operators' commands see it: answers what the test has put in,
// and keeps what it was asked. Listens on a port of loopback.
#ifndef WAGGLE_TESTS_CLI_FAKE_GATEWAY_H_
#define WAGGLE_TESTS_CLI_FAKE_GATEWAY_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "waggle/v1/delivery_service.grpc.pb.h"
#include "waggle/v1/gateway_service.grpc.pb.h"

namespace waggle {

inline v1::Delivery DeliveryWithId(uint64_t id) {
  v1::Delivery delivery;
  delivery.set_id(id);
  return delivery;
}

class FakeGateway {
 public:
  // What a WatchDeliveries call does.
  using Send = std::function<void(const v1::WatchDeliveriesResponse&)>;
  using Act = std::function<grpc::Status(grpc::ServerContext&, const Send&)>;

  FakeGateway() : deliveries_(*this), gateway_(*this), health_(*this) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&deliveries_);
    builder.RegisterService(&gateway_);
    builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
  }
  ~FakeGateway() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Puts these into the log.
  void Record(uint64_t first, uint64_t last) {
    MutexLock lock(mu_);
    for (uint64_t id = first; id <= last; ++id) log_.push_back(id);
  }
  // What the next WatchDeliveries does; beyond, they are refused.
  void OnWatch(Act act) {
    MutexLock lock(mu_);
    acts_.push_back(std::move(act));
  }

  std::vector<v1::ListDeliveriesRequest> lists() {
    MutexLock lock(mu_);
    return lists_;
  }
  std::vector<v1::WatchDeliveriesRequest> watches() {
    MutexLock lock(mu_);
    return watches_;
  }
  std::vector<v1::CheckDeliveryRequest> checks() {
    MutexLock lock(mu_);
    return checks_;
  }

  // To be set before the first call.
  grpc::Status status;  // of every unary call
  bool serving = true;
  std::deque<v1::CheckDeliveryResponse> parts;
  v1::GetGatewayResponse state;
  v1::ListSubscribersResponse subscribers;

 private:
  class Deliveries final : public v1::DeliveryService::Service {
   public:
    explicit Deliveries(FakeGateway& fake) : fake_(fake) {}

    // Pages of up to three, so that there are several.
    grpc::Status ListDeliveries(grpc::ServerContext*,
                                const v1::ListDeliveriesRequest* request,
                                v1::ListDeliveriesResponse* response) override {
      MutexLock lock(fake_.mu_);
      fake_.lists_.push_back(*request);
      uint64_t before = UINT64_MAX;
      if (!request->page_token().empty()) {
        EXPECT_TRUE(absl::SimpleAtoi(request->page_token(), &before));
      }
      const int max = std::min<int>(3, static_cast<int>(request->page_size()));
      for (auto id = fake_.log_.rbegin(); id != fake_.log_.rend(); ++id) {
        if (*id >= before || *id <= request->filter().after_id()) continue;
        if (response->deliveries_size() == max) {
          response->set_next_page_token(
              absl::StrCat(response->deliveries().rbegin()->id()));
          break;
        }
        *response->add_deliveries() = DeliveryWithId(*id);
      }
      return fake_.status;
    }

    grpc::Status WatchDeliveries(
        grpc::ServerContext* context, const v1::WatchDeliveriesRequest* request,
        grpc::ServerWriter<v1::WatchDeliveriesResponse>* writer) override {
      Act act;
      {
        MutexLock lock(fake_.mu_);
        fake_.watches_.push_back(*request);
        if (fake_.acts_.empty()) {
          return {grpc::StatusCode::PERMISSION_DENIED, "the script is over"};
        }
        act = std::move(fake_.acts_.front());
        fake_.acts_.pop_front();
      }
      return act(*context, [&](const v1::WatchDeliveriesResponse& response) {
        writer->Write(response);
      });
    }

    grpc::Status CheckDelivery(grpc::ServerContext*,
                               const v1::CheckDeliveryRequest* request,
                               v1::CheckDeliveryResponse* response) override {
      MutexLock lock(fake_.mu_);
      fake_.checks_.push_back(*request);
      if (!fake_.parts.empty()) {
        *response = fake_.parts.front();
        fake_.parts.pop_front();
      }
      return fake_.status;
    }

   private:
    FakeGateway& fake_;
  };

  class GatewayState final : public v1::GatewayService::Service {
   public:
    explicit GatewayState(FakeGateway& fake) : fake_(fake) {}

    grpc::Status GetGateway(grpc::ServerContext*, const v1::GetGatewayRequest*,
                            v1::GetGatewayResponse* response) override {
      *response = fake_.state;
      return fake_.status;
    }
    grpc::Status ListSubscribers(
        grpc::ServerContext*, const v1::ListSubscribersRequest*,
        v1::ListSubscribersResponse* response) override {
      *response = fake_.subscribers;
      return fake_.status;
    }

   private:
    FakeGateway& fake_;
  };

  class HealthState final : public grpc::health::v1::Health::Service {
   public:
    explicit HealthState(FakeGateway& fake) : fake_(fake) {}

    grpc::Status Check(
        grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest*,
        grpc::health::v1::HealthCheckResponse* response) override {
      response->set_status(
          fake_.serving ? grpc::health::v1::HealthCheckResponse::SERVING
                        : grpc::health::v1::HealthCheckResponse::NOT_SERVING);
      return grpc::Status::OK;
    }

   private:
    FakeGateway& fake_;
  };

  Mutex mu_;
  std::vector<uint64_t> log_ ABSL_GUARDED_BY(mu_);
  std::deque<Act> acts_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::ListDeliveriesRequest> lists_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::WatchDeliveriesRequest> watches_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::CheckDeliveryRequest> checks_ ABSL_GUARDED_BY(mu_);
  Deliveries deliveries_;
  GatewayState gateway_;
  HealthState health_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_CLI_FAKE_GATEWAY_H_
