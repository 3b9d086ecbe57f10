#include "cli/send_webhooks.h"

#include <algorithm>
#include <cstdint>

#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace waggle {
namespace {

constexpr char kWhiteSpace[] = " \t\r\n";
constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kMaxPause = absl::Seconds(30);

bool IsWorthRetrying(const absl::StatusOr<WebhookReply>& reply) {
  if (reply.ok()) return reply->status == 503;
  return absl::IsUnavailable(reply.status()) ||
         absl::IsDeadlineExceeded(reply.status());
}

// What the answer asks for, in seconds; dates are not understood.
absl::Duration PauseOf(const absl::StatusOr<WebhookReply>& reply,
                       absl::Duration otherwise) {
  uint32_t seconds = 0;
  if (reply.ok() && reply->retry_after.has_value() &&
      absl::SimpleAtoi(*reply->retry_after, &seconds)) {
    return std::min(absl::Seconds(seconds), kMaxPause);
  }
  return otherwise;
}

}  // namespace

absl::StatusOr<std::string> MakeUnique(const std::string& body,
                                       absl::BitGenRef random) {
  const size_t open = body.find_first_not_of(kWhiteSpace);
  if (open == std::string::npos || body[open] != '{') {
    return absl::InvalidArgumentError("the body is not a JSON object");
  }
  const size_t next = body.find_first_not_of(kWhiteSpace, open + 1);
  const bool empty = next != std::string::npos && body[next] == '}';
  std::string unique = body;
  unique.insert(open + 1, absl::StrFormat("\"waggle_send_id\":\"%016x%016x\"%s",
                                          absl::Uniform<uint64_t>(random),
                                          absl::Uniform<uint64_t>(random),
                                          empty ? "" : ","));
  return unique;
}

absl::StatusOr<WebhookReply> PostWithRetries(
    const std::function<absl::StatusOr<WebhookReply>()>& post, int retries,
    const std::function<void(absl::Duration)>& sleep) {
  absl::Duration pause = kFirstPause;
  while (true) {
    absl::StatusOr<WebhookReply> reply = post();
    if (!IsWorthRetrying(reply) || retries-- <= 0) return reply;
    sleep(PauseOf(reply, pause));
    pause = std::min(pause * 2, kMaxPause);
  }
}

}  // namespace waggle
