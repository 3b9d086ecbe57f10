// Posts one signed webhook, as Bindbee would. For the command line and tests.
#ifndef WAGGLE_HTTP_WEBHOOK_CLIENT_H_
#define WAGGLE_HTTP_WEBHOOK_CLIENT_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace waggle {

struct WebhookReply {
  int status = 0;
  std::string body;
  // As the server wrote it.
  std::optional<std::string> retry_after;
};

// Posts `body` to `url`, which is http://HOST[:PORT]/PATH, with its signature
// in the header field of that name.
// Every HTTP status is a reply. Blocks, up to about `timeout`. Errors say what
// to do:
//   INVALID_ARGUMENT  not such a URL
//   UNAVAILABLE       no connection, or it broke before the answer
//   DEADLINE_EXCEEDED no answer in time
absl::StatusOr<WebhookReply> PostWebhook(const std::string& url,
                                         const std::string& body,
                                         std::string_view signature_field,
                                         std::string_view signature,
                                         absl::Duration timeout);

}  // namespace waggle

#endif  // WAGGLE_HTTP_WEBHOOK_CLIENT_H_
