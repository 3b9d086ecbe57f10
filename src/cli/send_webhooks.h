// Posting webhooks the way Bindbee does: signed, and again after a while if the
// gateway could not take them.
#ifndef WAGGLE_CLI_SEND_WEBHOOKS_H_
#define WAGGLE_CLI_SEND_WEBHOOKS_H_

#include <functional>
#include <string>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/webhook_client.h"

namespace waggle {

// A body that nobody has seen before: a JSON object with one more member,
// "waggle_send_id", of a random value. INVALID_ARGUMENT if `body` does not
// begin like an object.
absl::StatusOr<std::string> MakeUnique(const std::string& body,
                                       absl::BitGenRef random);

// Calls `post` until there is an answer other than 503, at most 1 + `retries`
// times, and returns the last outcome. In between it calls `sleep` with what
// Retry-After asked for, at most half a minute, or else with a time that
// doubles.
absl::StatusOr<WebhookReply> PostWithRetries(
    const std::function<absl::StatusOr<WebhookReply>()>& post, int retries,
    const std::function<void(absl::Duration)>& sleep);

}  // namespace waggle

#endif  // WAGGLE_CLI_SEND_WEBHOOKS_H_
