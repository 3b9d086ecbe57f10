#include "http/webhook_client.h"

#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "httplib.h"
#include "openssl/err.h"
#include "openssl/ssl.h"

namespace waggle {
namespace {

struct Url {
  bool secure = false;
  std::string host;
  int port = 80;
  std::string path;
};

absl::StatusOr<Url> ParseUrl(std::string_view url) {
  const absl::Status bad = absl::InvalidArgumentError(absl::StrCat(
      "not a URL like http://127.0.0.1:8080/webhooks/bindbee: ", AsAbsl(url)));
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  Url parsed;
  if (url.starts_with(kPlain)) {
    url.remove_prefix(kPlain.size());
  } else if (url.starts_with(kSecure)) {
    url.remove_prefix(kSecure.size());
    parsed.secure = true;
    parsed.port = 443;
  } else {
    return bad;
  }
  const size_t slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
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

absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> MakeClient(
    const Url& target, const WebhookClientOptions& options) {
  if (!target.secure) {
    return std::make_unique<httplib::ClientImpl>(target.host, target.port);
  }
  auto client = std::make_unique<httplib::SSLClient>(target.host, target.port);
  if (!client->is_valid()) {
    return absl::InternalError("cannot set up TLS");
  }
  SSL_CTX_set_min_proto_version(client->ssl_context(), TLS1_2_VERSION);
  if (!options.ca_file.empty()) {
    // Read here first, since a failure within the client does not say why.
    const bool usable = SSL_CTX_load_verify_file(client->ssl_context(),
                                                 options.ca_file.c_str()) == 1;
    ERR_clear_error();
    if (!usable) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cannot read certificates in PEM from ", options.ca_file));
    }
    client->set_ca_cert_path(options.ca_file);
  }
  client->enable_server_certificate_verification(true);
  return client;
}

// Connects, has `request` make one request of the path, and gives the reply.
template <typename Request>
absl::StatusOr<WebhookReply> Exchange(const std::string& url,
                                      absl::Duration timeout,
                                      const WebhookClientOptions& options,
                                      const Request& request) {
  WAGGLE_ASSIGN_OR_RETURN(const Url target, ParseUrl(url));
  WAGGLE_ASSIGN_OR_RETURN(const auto client, MakeClient(target, options));
  const auto limit = absl::ToChronoMicroseconds(timeout);
  client->set_connection_timeout(limit);
  client->set_read_timeout(limit);
  client->set_write_timeout(limit);
  // Over TLS the head and the body are two writes: the second would wait for
  // the first one's acknowledgement.
  client->set_tcp_nodelay(true);
  const absl::Time start = absl::Now();
  const httplib::Result result = request(*client, target.path);
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
  if (result.error() == httplib::Error::SSLServerVerification) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the certificate of ", target.host, " port ", target.port,
        " is not trusted, or not for this host; name the authority's file, or "
        "use the host that the certificate names"));
  }
  if (result.error() == httplib::Error::Connection) {
    return absl::UnavailableError(
        absl::StrCat("cannot connect to ", target.host, " port ", target.port,
                     "; is the gateway running there?"));
  }
  return absl::UnavailableError(
      absl::StrCat("the connection to ", target.host, " port ", target.port,
                   " broke before the answer (",
                   httplib::to_string(result.error()), "); try again"));
}

}  // namespace

absl::StatusOr<WebhookReply> PostWebhook(const std::string& url,
                                         const std::string& body,
                                         std::string_view signature_field,
                                         std::string_view signature,
                                         absl::Duration timeout,
                                         const WebhookClientOptions& options) {
  const httplib::Headers headers = {
      {std::string(signature_field), std::string(signature)}};
  return Exchange(url, timeout, options,
                  [&](httplib::ClientImpl& client, const std::string& path) {
                    return client.Post(path, headers, body, "application/json");
                  });
}

absl::StatusOr<WebhookReply> GetUrl(const std::string& url,
                                    absl::Duration timeout,
                                    const WebhookClientOptions& options) {
  return Exchange(url, timeout, options,
                  [](httplib::ClientImpl& client, const std::string& path) {
                    return client.Get(path);
                  });
}

}  // namespace waggle
