#include "app/security_files.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "bindbee/demo_key.h"
#include "config/config.h"
#include "config/yaml_tree.h"
#include "security/secret_file.h"

namespace waggle {
namespace {

constexpr size_t kMaxJwksBytes = 256 << 10;

// The status, led by where it comes from.
absl::Status In(absl::string_view place, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(place, ": ", status.message()));
}

}  // namespace

// The signing keys of one endpoint.
class SecurityFiles::EndpointKeys {
 public:
  EndpointKeys(const EndpointSettings& settings, bool demo)
      : settings_(settings), demo_(demo) {}

  const std::string& endpoint() const { return settings_.name; }

  // The keys if they are others than the last time.
  absl::StatusOr<std::optional<std::vector<Secret>>> Read() {
    std::vector<Secret> keys;
    if (demo_) keys.emplace_back(std::string(kDemoKey));
    for (const std::string& file : settings_.signing_key_files) {
      absl::StatusOr<Secret> key =
          ReadSecretFile(file, {.warn = fingerprints_.empty()});
      if (!key.ok()) {
        return In(absl::StrCat("endpoint ", settings_.name), key.status());
      }
      keys.push_back(*std::move(key));
    }
    std::vector<std::string> fingerprints;
    fingerprints.reserve(keys.size());
    for (const Secret& key : keys) fingerprints.push_back(Fingerprint(key));
    if (fingerprints == fingerprints_) return std::nullopt;
    fingerprints_ = std::move(fingerprints);
    return keys;
  }

  std::vector<Secret> loaded;

 private:
  const EndpointSettings settings_;
  const bool demo_;
  std::vector<std::string> fingerprints_;
};

// A file whose content somebody makes sense of.
class SecurityFiles::TextFile {
 public:
  // Errors name the file.
  using Use = std::function<absl::Status(const std::string& path,
                                         const std::string& text)>;

  TextFile(std::string path, size_t max_bytes, Use use)
      : path_(std::move(path)), max_bytes_(max_bytes), use_(std::move(use)) {}

  absl::StatusOr<bool> Read() {
    WAGGLE_ASSIGN_OR_RETURN(std::string text,
                            ReadTrustedFile(path_, max_bytes_));
    if (text == used_) return false;
    WAGGLE_RETURN_IF_ERROR(use_(path_, text));
    used_ = std::move(text);
    return true;
  }

 private:
  const std::string path_;
  const size_t max_bytes_;
  const Use use_;
  std::string used_;
};

SecurityFiles::SecurityFiles(const Clock& clock) : clock_(clock) {}
SecurityFiles::~SecurityFiles() = default;

absl::StatusOr<std::unique_ptr<SecurityFiles>> SecurityFiles::Load(
    const Settings& settings, const Clock& clock) {
  // Not make_unique: the constructor is private.
  std::unique_ptr<SecurityFiles> files(new SecurityFiles(clock));
  files->LoadSigningKeys(settings);
  files->LoadAccess(settings.security);
  files->LoadTls("webhook", settings.webhook.tls, files->webhook_tls_);
  files->LoadTls("grpc", settings.grpc.tls, files->grpc_tls_);
  files->LoadTls("admin", settings.admin.tls, files->admin_tls_);
  if (!files->problems_.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(files->problems_, "\n"));
  }
  return files;
}

void SecurityFiles::Note(const absl::Status& status) {
  if (!status.ok()) problems_.emplace_back(status.message());
}

void SecurityFiles::LoadSigningKeys(const Settings& settings) {
  for (const EndpointSettings& endpoint : settings.webhook.endpoints) {
    signing_keys_.push_back(
        std::make_unique<EndpointKeys>(endpoint, settings.demo));
    EndpointKeys* keys = signing_keys_.back().get();
    auto read = keys->Read();
    Note(read.status());
    if (read.ok() && read->has_value()) keys->loaded = **std::move(read);
    watched_.push_back({absl::StrCat("signing_keys/", endpoint.name),
                        [this, keys]() -> absl::StatusOr<bool> {
                          WAGGLE_ASSIGN_OR_RETURN(auto changed, keys->Read());
                          if (!changed.has_value()) return false;
                          on_signing_keys_(keys->endpoint(),
                                           *std::move(changed));
                          return true;
                        }});
  }
}

void SecurityFiles::LoadAccess(const SecuritySettings& settings) {
  if (settings.access_file.empty()) {
    access_ = AccessControl::Open(clock_);
    return;
  }
  std::optional<JwtOptions> jwt;
  if (settings.jwt.has_value()) {
    jwt = JwtOptions{settings.jwt->issuer, settings.jwt->audience,
                     settings.jwt->clock_skew};
  }
  access_ = std::make_unique<AccessControl>(std::move(jwt), clock_);
  const auto add = [this](std::string what, std::string path, size_t max_bytes,
                          TextFile::Use use) {
    auto file =
        std::make_shared<TextFile>(std::move(path), max_bytes, std::move(use));
    Note(file->Read().status());
    watched_.push_back({std::move(what), [file] { return file->Read(); }});
  };
  add("access", settings.access_file, kMaxYamlSize,
      [this](const std::string& path, const std::string& text) -> absl::Status {
        WAGGLE_ASSIGN_OR_RETURN(const config::v1::Access policy,
                                ParseAccess({path, text}));
        return In(path, access_->SetPolicy(policy));
      });
  if (settings.jwt.has_value()) {
    add("jwks", settings.jwt->jwks_file, kMaxJwksBytes,
        [this](const std::string& path, const std::string& text) {
          return In(path, access_->SetJwks(text));
        });
  }
}

void SecurityFiles::LoadTls(std::string_view listener,
                            const TlsSettings& settings,
                            std::unique_ptr<TlsSource>& source) {
  if (!settings.enabled()) return;
  auto opened = TlsSource::Open(
      {settings.certificate_file, settings.key_file, settings.client_ca_file},
      clock_);
  if (!opened.ok()) return Note(opened.status());
  source = *std::move(opened);
  watched_.push_back({absl::StrCat("tls/", AsAbsl(listener)),
                      [tls = source.get()] { return tls->Reload(); }});
}

std::vector<Secret> SecurityFiles::TakeSigningKeys(std::string_view endpoint) {
  for (const auto& keys : signing_keys_) {
    if (keys->endpoint() == endpoint) return std::move(keys->loaded);
  }
  return {};
}

void SecurityFiles::Watch(Metrics& metrics, OnSigningKeys on_signing_keys) {
  on_signing_keys_ = std::move(on_signing_keys);
  for (Watched& watched : watched_) {
    watched.failing = &metrics.Gauge(
        "waggle_reload_failing",
        "1 while files that changed cannot be used; what was read before is in "
        "force.",
        {{"files", watched.what}});
  }
  for (const auto& [listener, tls] : {std::pair{"webhook", webhook_tls_.get()},
                                      std::pair{"grpc", grpc_tls_.get()},
                                      std::pair{"admin", admin_tls_.get()}}) {
    if (tls == nullptr) continue;
    expiries_.push_back(
        {tls, &metrics.Gauge("waggle_tls_certificate_expiry_timestamp_seconds",
                             "When the listener's certificate expires.",
                             {{"listener", listener}})});
  }
  ShowExpiries();
}

void SecurityFiles::Reload() {
  for (Watched& watched : watched_) {
    const absl::StatusOr<bool> changed = watched.reload();
    watched.failing->Set(changed.ok() ? 0 : 1);
    if (changed.ok()) {
      watched.error.clear();
      if (*changed) Log(LogLevel::kInfo, "reloaded", {{"files", watched.what}});
    } else if (watched.error != changed.status().message()) {
      watched.error = std::string(changed.status().message());
      Log(LogLevel::kError, "reload_failed",
          {{"files", watched.what},
           {"error", watched.error},
           {"consequence", "what was read before stays in force"}});
    }
  }
  ShowExpiries();
}

void SecurityFiles::ShowExpiries() {
  for (const Expiry& expiry : expiries_) {
    expiry.gauge->Set(absl::ToDoubleSeconds(expiry.tls->current()->expires_at -
                                            absl::UnixEpoch()));
  }
}

}  // namespace waggle
