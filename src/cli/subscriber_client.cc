#include "cli/subscriber_client.h"

#include <utility>

namespace waggle {

SubscriberClient::SubscriberClient(Connect connect, SubscriberOptions options,
                                   Sleep sleep)
    : connect_(std::move(connect)),
      options_(std::move(options)),
      reconnector_(options_.reconnect, std::move(sleep)),
      request_(options_.request) {}

StreamEnd SubscriberClient::Run(Subscriber& subscriber) {
  while (!reconnector_.stopped()) {
    StreamEnd end = RunStream(subscriber);
    if (reconnector_.stopped()) break;
    if (end.ok() && request_.stop_when_caught_up()) break;
    if (end.IsGap()) {
      if (!CrossGap(end)) return end;
    } else if (!end.ok() && !end.IsTransient()) {
      return end;
    }
    const absl::Duration pause = reconnector_.NextPause(end);
    subscriber.OnInterrupted(end, pause);
    reconnector_.Pause(pause);
  }
  return {};
}

void SubscriberClient::Stop() { reconnector_.Stop(); }

StreamEnd SubscriberClient::RunStream(Subscriber& subscriber) {
  const auto stub = connect_();
  return reconnector_.RunStream<v1::SubscribeResponse>(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return stub->PrepareAsyncSubscribe(context, request_, queue);
      },
      [this, &subscriber](const v1::SubscribeResponse& response) {
        if (!subscriber.OnResponse(response)) Stop();
        request_.set_after_cursor(response.cursor());
        return true;
      });
}

bool SubscriberClient::CrossGap(const StreamEnd& end) {
  switch (options_.on_gap) {
    case OnGap::kFail:
      return false;
    case OnGap::kEarliest:
      request_.set_position(v1::START_POSITION_EARLIEST);
      return true;
    case OnGap::kLatest:
      request_.set_position(v1::START_POSITION_LATEST);
      return true;
  }
  return false;
}

}  // namespace waggle
