// The first byte chooses what the rest is: a token, the claims of a token that
// the issuer signed, the header of one, or a set of keys. Whatever it is, no
// token is accepted that breaks the rules of jwt_verifier.h.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "security/jwt_verifier.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/jwt_issuer.h"
#include "tests/fuzz/check.h"

namespace waggle {
namespace {

constexpr char kGoodClaims[] =
    R"({"iss":"i","aud":"a","exp":1750000600,"sub":"s"})";

void Check(const absl::StatusOr<JwtClaims>& claims, const Clock& clock) {
  if (!claims.ok()) {
    FUZZ_CHECK(absl::IsUnauthenticated(claims.status()));
    return;
  }
  FUZZ_CHECK(!claims->subject.empty() && claims->subject.size() <= 255);
  FUZZ_CHECK(claims->expires_at > clock.Now());
}

}  // namespace
}  // namespace waggle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using waggle::testing::JwtSigner;
  static const waggle::FakeClock clock;
  static const JwtSigner issuer = JwtSigner::Es256("k");
  static const JwtSigner stranger = JwtSigner::Es256("k");
  static const waggle::JwtVerifier& verifier = *[] {
    auto* made =
        new waggle::JwtVerifier({.issuer = "i", .audience = "a"}, clock);
    FUZZ_CHECK(made->SetJwks(waggle::testing::JwkSet({issuer.Jwk()})).ok());
    FUZZ_CHECK(made->Verify(issuer.Sign(waggle::kGoodClaims)).ok());
    return made;
  }();
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1,
                              size - 1);
  switch (data[0] % 4) {
    case 0:
      // Nothing that the fuzzer writes was signed.
      FUZZ_CHECK(!verifier.Verify(text).ok());
      break;
    case 1:
      waggle::Check(verifier.Verify(issuer.Sign(text)), clock);
      FUZZ_CHECK(!verifier.Verify(stranger.Sign(text)).ok());
      break;
    case 2:
      waggle::Check(verifier.Verify(issuer.SignWith(text, waggle::kGoodClaims)),
                    clock);
      FUZZ_CHECK(
          !verifier.Verify(stranger.SignWith(text, waggle::kGoodClaims)).ok());
      break;
    case 3: {
      waggle::JwtVerifier other({.issuer = "i", .audience = "a"}, clock);
      const absl::Status status = other.SetJwks(text);
      FUZZ_CHECK(status.ok() || absl::IsInvalidArgument(status));
      FUZZ_CHECK(!other.Verify(issuer.Sign(waggle::kGoodClaims)).ok());
      break;
    }
  }
  return 0;
}
