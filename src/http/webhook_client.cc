#include "http/webhook_client.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "httplib.h"

namespace waggle {
namespace {

struct Url {
  std::string host;
  int port = 80;
  std::string path;
};

absl::StatusOr<Url> ParseUrl(std::string_view url) {
  const absl::Status bad = absl::InvalidArgumentError(absl::StrCat(
      "not a URL like http://127.0.0.1:8080/webhooks/bindbee: ", AsAbsl(url)));
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return bad;
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  Url parsed;
  parsed.path = slash < url.size() ? std::string(url.substr(slash)) : "/";

  // An IPv6 address stands in brackets, and has colons of its own.
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos &&
      (bracket == std::string_view::npos || colon > bracket)) {
    if (!absl::SimpleAtoi(AsAbsl(authority.substr(colon + 1)), &parsed.port) ||
        parsed.port < 1 || parsed.port > 65535) {
      return bad;
    }
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) {
    authority = authority.substr(1, authority.size() - 2);
  }
  if (authority.empty() || authority.find('@') != std::string_view::npos) {
    return bad;
  }
  parsed.host = authority;
  return parsed;
}

}  // namespace

absl::StatusOr<WebhookReply> PostWebhook(const std::string& url,
                                         const std::string& body,
                                         std::string_view signature_field,
                                         std::string_view signature,
                                         absl::Duration timeout) {
  WAGGLE_ASSIGN_OR_RETURN(const Url target, ParseUrl(url));
  httplib::Client client(target.host, target.port);
  const auto limit = absl::ToChronoMicroseconds(timeout);
  client.set_connection_timeout(limit);
  client.set_read_timeout(limit);
  client.set_write_timeout(limit);
  const httplib::Headers headers = {
      {std::string(signature_field), std::string(signature)}};
  const absl::Time start = absl::Now();
  const httplib::Result result =
      client.Post(target.path, headers, body, "application/json");
  if (result) {
    WebhookReply reply{result->status, result->body, std::nullopt};
    if (result->has_header("Retry-After")) {
      reply.retry_after = result->get_header_value("Retry-After");
    }
    return reply;
  }
  if (absl::Now() - start >= timeout) {
    return absl::DeadlineExceededError(
        absl::StrCat("no answer from ", target.host, " port ", target.port,
                     " within ", absl::FormatDuration(timeout)));
  }
  if (result.error() == httplib::Error::Connection) {
    return absl::UnavailableError(
        absl::StrCat("cannot connect to ", target.host, " port ", target.port,
                     "; is the gateway running there?"));
  }
  return absl::UnavailableError(
      absl::StrCat("the connection to ", target.host, " port ", target.port,
                   " broke before the answer (",
                   httplib::to_string(result.error()), "); send it again"));
}

}  // namespace waggle
