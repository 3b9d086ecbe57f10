#include "stream_load.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "child_process.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_callback.h"

namespace waggle::bench {
namespace {

constexpr char kMethod[] = "/waggle.v1.EventService/Subscribe";
constexpr absl::Duration kPatience = absl::Seconds(120);

// Walks the bytes of a message that lies in pieces.
class SliceReader {
 public:
  explicit SliceReader(const grpc::ByteBuffer& message) {
    message.Dump(&slices_);
  }

  // Also moves on from a piece that is used up.
  bool AtEnd() {
    while (piece_ < slices_.size() && at_ == slices_[piece_].size()) {
      ++piece_;
      at_ = 0;
    }
    return piece_ == slices_.size();
  }
  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; !AtEnd() && shift < 64; shift += 7) {
      const uint8_t byte = slices_[piece_].begin()[at_++];
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  void Skip(uint64_t bytes) {
    while (bytes > 0 && !AtEnd()) {
      const uint64_t step =
          std::min<uint64_t>(bytes, slices_[piece_].size() - at_);
      at_ += step;
      bytes -= step;
    }
  }

 private:
  std::vector<grpc::Slice> slices_;
  size_t piece_ = 0;
  size_t at_ = 0;
};

// How many `events` a serialised SubscribeResponse holds.
uint64_t CountEvents(const grpc::ByteBuffer& message) {
  constexpr uint64_t kLengthDelimited = 2;
  constexpr uint64_t kEventsTag =
      v1::SubscribeResponse::kEventsFieldNumber << 3 | kLengthDelimited;
  SliceReader reader(message);
  uint64_t events = 0;
  while (!reader.AtEnd()) {
    const uint64_t tag = reader.ReadVarint();
    events += tag == kEventsTag;
    const uint64_t value = reader.ReadVarint();
    if ((tag & 7) == kLengthDelimited) reader.Skip(value);
  }
  return events;
}

}  // namespace

// Reacts on gRPC's threads.
class CountingSubscriber final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  CountingSubscriber(grpc::GenericStub& stub,
                     const v1::SubscribeRequest& request,
                     const std::string& token) {
    if (!token.empty()) {
      context_.AddMetadata("authorization", "Bearer " + token);
    }
    const std::string bytes = request.SerializeAsString();
    const grpc::Slice slice(bytes);
    request_ = grpc::ByteBuffer(&slice, 1);
    stub.PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(),
                                  this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    events_ += CountEvents(response_);
    if (!responded_) {
      MutexLock lock(mu_);
      responded_ = true;
      changed_.SignalAll();
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    MutexLock lock(mu_);
    done_ = true;
    status_ = status;
    changed_.SignalAll();
  }

  void WaitUntilResponded() {
    MutexLock lock(mu_);
    const absl::Time deadline = absl::Now() + kPatience;
    while (!responded_) {
      if (done_) Die("a subscriber was refused: " + status_.error_message());
      if (absl::Now() > deadline) Die("a subscriber got no response");
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
  }

  grpc::Status WaitUntilDone() {
    MutexLock lock(mu_);
    while (!done_) changed_.Wait(mu_);
    return status_;
  }

  void Cancel() { context_.TryCancel(); }
  uint64_t events() const { return events_; }

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::atomic<uint64_t> events_{0};
  std::atomic<bool> responded_{false};

  Mutex mu_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

Subscribers::Subscribers(int port, int connections,
                         const std::string& authority, const std::string& token)
    : token_(token) {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (authority.empty()) {
    credentials = grpc::InsecureChannelCredentials();
  } else {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = authority;
    credentials = grpc::SslCredentials(ssl);
  }
  grpc::ChannelArguments arguments;
  // Otherwise channels to one address share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (int i = 0; i < connections; ++i) {
    channels_.push_back(grpc::CreateCustomChannel(
        "localhost:" + std::to_string(port), credentials, arguments));
  }
}

Subscribers::~Subscribers() {
  for (const auto& subscriber : subscribers_) subscriber->Cancel();
  for (const auto& subscriber : subscribers_) subscriber->WaitUntilDone();
}

void Subscribers::Add(int count, const v1::SubscribeRequest& request) {
  const size_t first = subscribers_.size();
  for (int i = 0; i < count; ++i) {
    grpc::GenericStub stub(channels_[subscribers_.size() % channels_.size()]);
    subscribers_.push_back(
        std::make_unique<CountingSubscriber>(stub, request, token_));
  }
  for (size_t i = first; i < subscribers_.size(); ++i) {
    subscribers_[i]->WaitUntilResponded();
  }
}

void Subscribers::WaitUntilEnded() {
  for (const auto& subscriber : subscribers_) {
    const grpc::Status status = subscriber->WaitUntilDone();
    if (!status.ok()) Die("a stream failed: " + status.error_message());
  }
}

uint64_t Subscribers::events() const {
  uint64_t events = 0;
  for (const auto& subscriber : subscribers_) events += subscriber->events();
  return events;
}

}  // namespace waggle::bench
