// JSON Web Tokens (RFC 7519) signed by an issuer whose public keys are known.
//
//   JwtVerifier verifier(options, clock);
//   WAGGLE_RETURN_IF_ERROR(verifier.SetJwks(json));
//   auto claims = verifier.Verify("eyJ...");
//   ... claims->subject ...
//
// The only user of the JOSE and JSON libraries. It leans on the first for
// signatures and keys alone; the rules about which tokens count are here.
#ifndef WAGGLE_SECURITY_JWT_VERIFIER_H_
#define WAGGLE_SECURITY_JWT_VERIFIER_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace waggle {

// See config.proto. Without an issuer or an audience no token is accepted.
struct JwtOptions {
  std::string issuer;
  std::string audience;
  absl::Duration clock_skew = absl::Seconds(30);
};

// What is used of a valid token.
struct JwtClaims {
  // 1 to 255 bytes of UTF-8.
  std::string subject;
  // The last moment that it is accepted: the clocks' difference is in it.
  absl::Time expires_at;
};

// Thread-safe.
class JwtVerifier {
 public:
  // Accepts no token before SetJwks. `clock` must outlive it.
  JwtVerifier(JwtOptions options, const Clock& clock);
  ~JwtVerifier();

  // The issuer's keys, a JWK set (RFC 7517), instead of those before; on
  // INVALID_ARGUMENT those stay. Keys of other kinds than RSA and P-256 and for
  // other uses than RS256 and ES256 are passed over. At least one key must be
  // left, at most 32; RSA keys have 2048 to 8192 bits, key ids differ, and no
  // key is private.
  absl::Status SetJwks(std::string_view json);

  // UNAUTHENTICATED if the token, in compact form, is not valid now. Says why
  // only of tokens that the issuer signed.
  //
  // Valid: "alg" is RS256 or ES256 and fits the key; the key is the one named
  // by "kid", or any if none is named; there is no "crit". "iss" is the issuer,
  // "aud" is the audience or a list that holds it, "exp" is there and has not
  // passed, "nbf" and "iat", if there, have; "sub" has 1 to 255 bytes. Keys
  // that the token brings or points at do not count.
  absl::StatusOr<JwtClaims> Verify(std::string_view token) const;

 private:
  struct Keys;

  const JwtOptions options_;
  const Clock& clock_;
  mutable Mutex mu_;
  std::shared_ptr<const Keys> keys_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_SECURITY_JWT_VERIFIER_H_
