// An issuer of JSON Web Tokens with real keys, made on the spot. What it signs
// is the test's to choose, right or wrong.
//
//   const JwtSigner signer = JwtSigner::Es256("key-1");
//   verifier.SetJwks(JwkSet({signer.Jwk()}));
//   verifier.Verify(signer.Sign(R"({"iss":"me"})"));
#ifndef WAGGLE_TESTS_FAKES_JWT_ISSUER_H_
#define WAGGLE_TESTS_FAKES_JWT_ISSUER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "openssl/bn.h"
#include "openssl/core_names.h"
#include "openssl/ec.h"
#include "openssl/ecdsa.h"
#include "openssl/evp.h"
#include "openssl/rsa.h"

namespace waggle::testing {

inline std::string Base64Url(std::string_view bytes) {
  return absl::WebSafeBase64Escape(AsAbsl(bytes));
}

inline std::string JwkSet(const std::vector<std::string>& jwks) {
  return absl::StrCat(R"({"keys":[)", absl::StrJoin(jwks, ","), "]}");
}

class JwtSigner {
 public:
  static JwtSigner Rs256(std::string id, unsigned bits = 2048) {
    return JwtSigner(EVP_RSA_gen(bits), "RS256", std::move(id));
  }
  static JwtSigner Es256(std::string id, const char* curve = "P-256") {
    return JwtSigner(EVP_EC_gen(curve), "ES256", std::move(id));
  }

  // With `more`, such as R"(,"use":"sig")", at the end.
  std::string Jwk(const std::string& more = "") const {
    const std::string kid =
        id_.empty() ? "" : absl::StrCat(R"(,"kid":")", id_, "\"");
    if (alg_ == "RS256") {
      return absl::StrCat(R"({"kty":"RSA","n":")",
                          Number(OSSL_PKEY_PARAM_RSA_N), R"(","e":")",
                          Number(OSSL_PKEY_PARAM_RSA_E), "\"", kid, more, "}");
    }
    return absl::StrCat(R"({"kty":"EC","crv":"P-256","x":")",
                        Number(OSSL_PKEY_PARAM_EC_PUB_X, 32), R"(","y":")",
                        Number(OSSL_PKEY_PARAM_EC_PUB_Y, 32), "\"", kid, more,
                        "}");
  }

  // What a right header holds.
  std::string Header() const {
    if (id_.empty()) return absl::StrCat(R"({"alg":")", alg_, R"("})");
    return absl::StrCat(R"({"alg":")", alg_, R"(","kid":")", id_, R"("})");
  }
  std::string Sign(std::string_view claims) const {
    return SignWith(Header(), claims);
  }
  std::string SignWith(std::string_view header, std::string_view claims) const {
    const std::string input =
        absl::StrCat(Base64Url(header), ".", Base64Url(claims));
    return absl::StrCat(input, ".", Base64Url(Signature(input)));
  }

  // The signature's bytes: of RSASSA-PKCS1-v1_5, or r and s of ECDSA.
  std::string Signature(std::string_view input) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    size_t size = EVP_PKEY_get_size(key_.get());
    std::string signature(size, '\0');
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()),
                   &size, reinterpret_cast<const unsigned char*>(input.data()),
                   input.size());
    EVP_MD_CTX_free(context);
    signature.resize(size);
    return alg_ == "RS256" ? signature : FromDer(signature);
  }

 private:
  JwtSigner(EVP_PKEY* key, std::string alg, std::string id)
      : key_(key, EVP_PKEY_free), alg_(std::move(alg)), id_(std::move(id)) {}

  static std::string Bytes(const BIGNUM* number, int size) {
    std::string bytes(static_cast<size_t>(size), '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), size);
    return bytes;
  }

  std::string Number(const char* name, int size = 0) const {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &number);
    std::string text =
        Base64Url(Bytes(number, size != 0 ? size : BN_num_bytes(number)));
    BN_free(number);
    return text;
  }

  static std::string FromDer(const std::string& der) {
    const auto* in = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* sig = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size()));
    std::string bytes =
        Bytes(ECDSA_SIG_get0_r(sig), 32) + Bytes(ECDSA_SIG_get0_s(sig), 32);
    ECDSA_SIG_free(sig);
    return bytes;
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::string alg_;
  std::string id_;
};

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_FAKES_JWT_ISSUER_H_
