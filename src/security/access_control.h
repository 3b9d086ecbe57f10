// Who is calling: from a bearer token or a client certificate to a principal
// with rights.
//
//   AccessControl access(jwt_options, clock);
//   WAGGLE_RETURN_IF_ERROR(access.SetPolicy(policy));
//   WAGGLE_RETURN_IF_ERROR(access.SetJwks(json));
//   auto caller = access.Authenticate({.authorization = "Bearer ..."});
//   ... (*caller)->principal->rights ...
//   if (access.generation() != seen) principal = access.Find(caller->identity);
#ifndef WAGGLE_SECURITY_ACCESS_CONTROL_H_
#define WAGGLE_SECURITY_ACCESS_CONTROL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "security/jwt_verifier.h"
#include "security/rights.h"
#include "waggle/config/v1/access.pb.h"

namespace waggle {

// Immutable and shared.
struct Principal {
  std::string name;
  Rights rights;
};

// What a caller shows, as the transport got it.
struct Credentials {
  // The value of the authorization header, if there is one.
  std::optional<std::string_view> authorization = std::nullopt;
  // The names that a verified client certificate has, of the first kind that it
  // has any of: "spiffe://...", "dns:...", "cn:...". Empty without one.
  std::vector<std::string> tls_identities = {};
  // When that certificate expires. A connection, and a TLS session that is
  // resumed, outlive it.
  absl::Time tls_expires_at = absl::InfiniteFuture();

  bool empty() const {
    return !authorization.has_value() && tls_identities.empty();
  }
};

// Somebody who was recognised.
struct Caller {
  // Not null.
  std::shared_ptr<const Principal> principal;
  // By what: "token:" and its SHA-256 in hexadecimal, "jwt:" and the subject,
  // "tls:" and the certificate's name, or "anonymous". Holds no secret. For
  // AccessControl::Find.
  std::string identity;
  // When what was shown expires.
  absl::Time expires_at = absl::InfiniteFuture();
};

// Thread-safe.
class AccessControl {
 public:
  // Recognises nobody before SetPolicy. `clock` must outlive it.
  AccessControl(std::optional<JwtOptions> jwt, const Clock& clock);
  ~AccessControl();

  // For a gateway without access control: everybody, whatever they show, is one
  // principal, "anonymous", with all rights.
  static std::unique_ptr<AccessControl> Open(const Clock& clock);

  // Takes effect at once. INVALID_ARGUMENT says which principal's what is
  // wrong, and leaves the policy before in force. FAILED_PRECONDITION if Open.
  absl::Status SetPolicy(const config::v1::Access& policy);

  // The same for the issuer's keys: see JwtVerifier::SetJwks.
  // FAILED_PRECONDITION without JwtOptions.
  absl::Status SetJwks(std::string_view json);

  // A bearer token goes before a certificate: if an authorization is shown, it
  // alone counts. Certificates must have been verified by the transport.
  //   UNAUTHENTICATED    Nothing was shown, or it is not valid (any more).
  //   PERMISSION_DENIED  It is valid, but no principal is known by it.
  // Messages are for the caller: they say what to do, never what would fit.
  absl::StatusOr<Caller> Authenticate(const Credentials& credentials) const;

  // The principal that an identity is now; null if it is nobody any more.
  std::shared_ptr<const Principal> Find(std::string_view identity) const;

  // Whether the policy has a principal of this name; never if Open.
  bool Names(std::string_view principal) const;

  // Changes with every SetPolicy that changed anything. Once it has, Find and
  // Authenticate answer by the new policy.
  uint64_t generation() const { return generation_; }

 private:
  struct Policy;

  AccessControl(std::optional<JwtOptions> jwt, const Clock& clock,
                std::shared_ptr<const Principal> anonymous);
  static absl::StatusOr<std::shared_ptr<const Policy>> Compile(
      const config::v1::Access& access);
  std::shared_ptr<const Policy> policy() const;
  absl::StatusOr<Caller> ByToken(std::string_view authorization) const;
  absl::StatusOr<Caller> ByCertificate(const Credentials& credentials) const;

  const Clock& clock_;
  // Null unless everybody is let in, as this principal.
  const std::shared_ptr<const Principal> anonymous_;
  // Null if no JSON Web Tokens are accepted.
  const std::unique_ptr<JwtVerifier> jwt_;
  std::atomic<uint64_t> generation_ = 0;
  mutable Mutex mu_;
  std::shared_ptr<const Policy> policy_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_SECURITY_ACCESS_CONTROL_H_
