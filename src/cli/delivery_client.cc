#include "cli/delivery_client.h"

#include <algorithm>
#include <utility>

namespace waggle {
namespace {

using Stub = v1::DeliveryService::StubInterface;

constexpr size_t kMaxPage = 1000;

}  // namespace

ListedDeliveries ListDeliveries(GatewayClient& client, Stub& stub,
                                const v1::DeliveryFilter& filter, size_t max) {
  ListedDeliveries listed;
  v1::ListDeliveriesRequest request;
  *request.mutable_filter() = filter;
  while (listed.deliveries.size() < max) {
    request.set_page_size(static_cast<uint32_t>(
        std::min(kMaxPage, max - listed.deliveries.size())));
    v1::ListDeliveriesResponse response;
    listed.end =
        client.Call<Stub>(stub, &Stub::ListDeliveries, request, &response);
    if (!listed.end.ok()) break;
    for (v1::Delivery& delivery : *response.mutable_deliveries()) {
      listed.deliveries.push_back(std::move(delivery));
    }
    request.set_page_token(response.next_page_token());
    listed.more = !response.next_page_token().empty();
    if (!listed.more) break;
  }
  std::reverse(listed.deliveries.begin(), listed.deliveries.end());
  return listed;
}

DeliveryFollower::DeliveryFollower(GatewayClient& client,
                                   v1::DeliveryFilter filter, size_t first,
                                   ReconnectOptions options,
                                   Reconnector::Sleep sleep)
    : client_(client),
      filter_(std::move(filter)),
      first_(first),
      reconnector_(std::move(options), std::move(sleep)) {}

StreamEnd DeliveryFollower::Run(const Observer& observer) {
  while (!reconnector_.stopped()) {
    StreamEnd end = RunStream(observer);
    if (reconnector_.stopped()) break;
    if (!end.ok() && !end.IsTransient()) return end;
    const absl::Duration pause = reconnector_.NextPause(end);
    observer.interrupted(end, pause);
    reconnector_.Pause(pause);
  }
  return {};
}

void DeliveryFollower::Stop() {
  reconnector_.Stop();
  client_.Stop();
}

// From the first response on, the stream misses nothing: what the log holds by
// then and what the stream brings are everything.
StreamEnd DeliveryFollower::RunStream(const Observer& observer) {
  v1::WatchDeliveriesRequest request;
  *request.mutable_filter() = filter_;
  request.mutable_filter()->clear_since();
  // A connection that died in silence would be as dead for this stream.
  const auto stub = v1::DeliveryService::NewStub(client_.NewChannel());
  StreamEnd failed;
  bool first = true;
  const StreamEnd end = reconnector_.RunStream<v1::WatchDeliveriesResponse>(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return stub->PrepareAsyncWatchDeliveries(context, request, queue);
      },
      [&](const v1::WatchDeliveriesResponse& response) {
        if (std::exchange(first, false) || response.skipped() > 0) {
          failed = CatchUp(*stub, observer);
          if (!failed.ok()) return false;
        }
        Pass({response.deliveries().begin(), response.deliveries().end()},
             observer);
        return true;
      });
  return failed.ok() ? end : failed;
}

StreamEnd DeliveryFollower::CatchUp(v1::DeliveryService::StubInterface& stub,
                                    const Observer& observer) {
  v1::DeliveryFilter filter = filter_;
  if (last_id_ != 0) filter.set_after_id(last_id_);
  ListedDeliveries listed = ListDeliveries(
      client_, stub, filter, began_ ? kMaxListedDeliveries : first_);
  if (!listed.end.ok()) return std::move(listed.end);
  if (listed.more && began_) observer.left_out();
  began_ = true;
  Pass(std::move(listed.deliveries), observer);
  return {};
}

void DeliveryFollower::Pass(std::vector<v1::Delivery> deliveries,
                            const Observer& observer) {
  std::erase_if(deliveries, [this](const v1::Delivery& delivery) {
    return delivery.id() <= last_id_;
  });
  if (deliveries.empty()) return;
  last_id_ = deliveries.back().id();
  if (!observer.deliveries(deliveries)) Stop();
}

}  // namespace waggle
