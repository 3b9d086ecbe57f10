// The other side of the gateway's HTTP doors: posts one signed webhook, as
// Bindbee would, or asks the admin door. For the command line and tests.
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

struct WebhookClientOptions {
  // For https: PEM of the authorities that the server's certificate may come
  // from. Empty: those that the system trusts.
  std::string ca_file{};
};

// Posts `body` to `url`, which is http[s]://HOST[:PORT]/PATH, with its
// signature in the header field of that name. Over https only to a server whose
// certificate is trusted and valid for HOST.
// Every HTTP status is a reply. Blocks, up to about `timeout`. Errors say what
// to do:
//   INVALID_ARGUMENT  not such a URL, or a CA file that cannot be used
//   UNAUTHENTICATED   the server's certificate does not prove that it is HOST
//   UNAVAILABLE       no connection, or it broke before the answer
//   DEADLINE_EXCEEDED no answer in time
absl::StatusOr<WebhookReply> PostWebhook(
    const std::string& url, const std::string& body,
    std::string_view signature_field, std::string_view signature,
    absl::Duration timeout, const WebhookClientOptions& options = {});

// Gets `url`, in the same way.
absl::StatusOr<WebhookReply> GetUrl(const std::string& url,
                                    absl::Duration timeout,
                                    const WebhookClientOptions& options = {});

}  // namespace waggle

#endif  // WAGGLE_HTTP_WEBHOOK_CLIENT_H_
