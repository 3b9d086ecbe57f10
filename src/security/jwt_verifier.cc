#include "security/jwt_verifier.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/deleter.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "cjose/cjose.h"
#include "jansson.h"

namespace waggle {
namespace {

constexpr size_t kMaxJwksSize = 256 << 10;
constexpr size_t kMaxTokenSize = 8 << 10;
// A token without a key id is tried with all of them.
constexpr size_t kMaxKeys = 32;
constexpr size_t kMaxSubjectSize = 255;
constexpr size_t kMinRsaBits = 2048;
// Beyond, a forged signature would cost the gateway milliseconds.
constexpr size_t kMaxRsaBits = 8192;
constexpr size_t kP256CoordinateSize = 32;
constexpr size_t kEs256SignatureSize = 64;

enum class Algorithm { kRs256, kEs256 };

std::optional<Algorithm> AlgorithmFromName(absl::string_view name) {
  if (name == CJOSE_HDR_ALG_RS256) return Algorithm::kRs256;
  if (name == CJOSE_HDR_ALG_ES256) return Algorithm::kEs256;
  return std::nullopt;
}

using Json = std::unique_ptr<json_t, Deleter<json_decref>>;
using Jwk = std::unique_ptr<cjose_jwk_t, Deleter<cjose_jwk_release>>;
using Jws = std::unique_ptr<cjose_jws_t, Deleter<cjose_jws_release>>;

// An object, with names that differ: of equal ones this reader and the issuer's
// could see another each. Numbers are all floating point, so that none is too
// large to be read. Null for anything else.
Json ParseObject(absl::string_view text) {
  Json json(json_loadb(text.data(), text.size(),
                       JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                       nullptr));
  return json_is_object(json.get()) ? std::move(json) : nullptr;
}

absl::string_view AsView(const json_t* text) {
  return {json_string_value(text), json_string_length(text)};
}

// The member, if it is a string.
std::optional<absl::string_view> Text(const json_t* object, const char* name) {
  const json_t* member = json_object_get(object, name);
  if (!json_is_string(member)) return std::nullopt;
  return AsView(member);
}

// Unpadded base64url (RFC 7515, section 2), and nothing else: no line ends, no
// padding.
std::optional<std::string> DecodeBase64Url(absl::string_view text) {
  const bool is_base64url = absl::c_all_of(text, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
           c == '_';
  });
  std::string bytes;
  if (!is_base64url || !absl::WebSafeBase64Unescape(text, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

// --- Keys. ---

struct Key {
  Algorithm algorithm;
  std::optional<std::string> id = std::nullopt;
  Jwk jwk = nullptr;
};

bool IsForVerifying(const json_t* jwk, Algorithm algorithm) {
  if (json_object_get(jwk, "use") != nullptr && Text(jwk, "use") != "sig") {
    return false;
  }
  if (json_object_get(jwk, "alg") != nullptr) {
    const auto name = Text(jwk, "alg");
    if (!name.has_value() || AlgorithmFromName(*name) != algorithm) {
      return false;
    }
  }
  const json_t* operations = json_object_get(jwk, "key_ops");
  if (operations == nullptr) return true;
  for (size_t i = 0; i < json_array_size(operations); ++i) {
    const json_t* operation = json_array_get(operations, i);
    if (json_is_string(operation) && AsView(operation) == "verify") return true;
  }
  return false;
}

// Which algorithm a key is for; nothing if it is to be passed over.
std::optional<Algorithm> UseOf(const json_t* jwk) {
  std::optional<Algorithm> algorithm;
  if (Text(jwk, "kty") == "RSA") algorithm = Algorithm::kRs256;
  if (Text(jwk, "kty") == "EC" && Text(jwk, "crv") == "P-256") {
    algorithm = Algorithm::kEs256;
  }
  if (!algorithm.has_value() || !IsForVerifying(jwk, *algorithm)) {
    return std::nullopt;
  }
  return algorithm;
}

size_t BitsOf(absl::string_view number) {
  size_t bits = 8 * number.size();
  for (const char c : number) {
    const auto byte = static_cast<uint8_t>(c);
    for (int mask = 0x80; mask != 0; mask >>= 1, --bits) {
      if ((byte & mask) != 0) return bits;
    }
  }
  return bits;
}

// What is wrong with the numbers of an RSA key. Empty: they are right.
std::string RsaProblem(const json_t* jwk) {
  const auto modulus = DecodeBase64Url(Text(jwk, "n").value_or(""));
  const auto exponent = DecodeBase64Url(Text(jwk, "e").value_or(""));
  if (!modulus.has_value() || !exponent.has_value() || exponent->empty()) {
    return "\"n\" and \"e\" must be numbers in base64url";
  }
  const size_t bits = BitsOf(*modulus);
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return absl::StrCat("an RSA key of ", bits, " bits; it must have ",
                        kMinRsaBits, " to ", kMaxRsaBits);
  }
  // With the exponent 1 every text would be its own signature.
  const size_t exponent_bits = BitsOf(*exponent);
  if (exponent_bits < 2 || exponent_bits > 64 || (exponent->back() & 1) == 0) {
    return "\"e\" must be odd, and 3 to 2^64";
  }
  return "";
}

// What is wrong with the coordinates of a key on P-256. Empty: they are right
// in form; whether they are on the curve is the library's to see. It would end
// the process over some texts that are not base64url.
std::string EcProblem(const json_t* jwk) {
  for (const char* name : {"x", "y"}) {
    const auto coordinate = DecodeBase64Url(Text(jwk, name).value_or(""));
    if (!coordinate.has_value() || coordinate->size() != kP256CoordinateSize) {
      return "\"x\" and \"y\" must be 32 bytes in base64url";
    }
  }
  return "";
}

// One with nothing but the members of a public key: what else stands beside
// them is not the library's to judge.
Jwk Import(const json_t* jwk, Algorithm algorithm) {
  const Json members(json_object());
  const auto copy = [&](const char* name) {
    json_object_set(members.get(), name, json_object_get(jwk, name));
  };
  copy("kty");
  if (algorithm == Algorithm::kRs256) {
    copy("n");
    copy("e");
  } else {
    copy("crv");
    copy("x");
    copy("y");
  }
  cjose_err ignored;
  return Jwk(cjose_jwk_import_json(
      reinterpret_cast<cjose_header_t*>(members.get()), &ignored));
}

// The key of an entry that is not passed over.
absl::StatusOr<Key> ReadKey(const json_t* jwk, Algorithm algorithm) {
  if (json_object_get(jwk, "d") != nullptr) {
    return absl::InvalidArgumentError(
        "a private key; whoever read this file can sign tokens: replace the "
        "key, and publish its public half alone");
  }
  Key key{.algorithm = algorithm};
  if (json_object_get(jwk, "kid") != nullptr) {
    const auto id = Text(jwk, "kid");
    if (!id.has_value()) {
      return absl::InvalidArgumentError("\"kid\" must be a string");
    }
    key.id = std::string(*id);
  }
  if (const std::string problem =
          algorithm == Algorithm::kRs256 ? RsaProblem(jwk) : EcProblem(jwk);
      !problem.empty()) {
    return absl::InvalidArgumentError(problem);
  }
  key.jwk = Import(jwk, algorithm);
  if (key.jwk == nullptr) {
    return absl::InvalidArgumentError("not a public key");
  }
  return key;
}

absl::StatusOr<std::vector<Key>> ReadKeys(const json_t* entries) {
  std::vector<Key> keys;
  for (size_t i = 0; i < json_array_size(entries); ++i) {
    const json_t* jwk = json_array_get(entries, i);
    const auto invalid = [i](absl::string_view problem) {
      return absl::InvalidArgumentError(
          absl::StrCat("keys[", i, "]: ", problem));
    };
    if (!json_is_object(jwk)) return invalid("not an object");
    const std::optional<Algorithm> algorithm = UseOf(jwk);
    if (!algorithm.has_value()) continue;
    absl::StatusOr<Key> key = ReadKey(jwk, *algorithm);
    if (!key.ok()) return invalid(key.status().message());
    if (key->id.has_value() && absl::c_any_of(keys, [&key](const Key& other) {
          return other.id == key->id;
        })) {
      return invalid("its \"kid\" is another key's, too");
    }
    keys.push_back(*std::move(key));
    if (keys.size() > kMaxKeys) {
      return invalid(absl::StrCat("more than ", kMaxKeys, " keys"));
    }
  }
  return keys;
}

// --- Tokens. ---

absl::Status Invalid() {
  return absl::UnauthenticatedError("the token's signature is not valid");
}

struct Token {
  Algorithm algorithm;
  std::optional<std::string> key_id = std::nullopt;
  std::string payload;
};

// What the token says of its signature. Nothing of it is proven.
std::optional<Token> ReadToken(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  if (parts.size() != 3) return std::nullopt;
  const auto header_text = DecodeBase64Url(parts[0]);
  auto payload = DecodeBase64Url(parts[1]);
  const auto signature = DecodeBase64Url(parts[2]);
  if (!header_text.has_value() || !payload.has_value() ||
      !signature.has_value()) {
    return std::nullopt;
  }
  const Json header = ParseObject(*header_text);
  if (header == nullptr) return std::nullopt;
  const auto algorithm =
      AlgorithmFromName(Text(header.get(), "alg").value_or(""));
  if (!algorithm.has_value()) return std::nullopt;
  // The library takes signatures of any even length for ES256.
  if (algorithm == Algorithm::kEs256 &&
      signature->size() != kEs256SignatureSize) {
    return std::nullopt;
  }
  // Says that some extension must be understood; none is.
  if (json_object_get(header.get(), "crit") != nullptr) return std::nullopt;
  Token token{.algorithm = *algorithm, .payload = *std::move(payload)};
  if (json_object_get(header.get(), "kid") != nullptr) {
    const auto id = Text(header.get(), "kid");
    if (!id.has_value()) return std::nullopt;
    token.key_id = std::string(*id);
  }
  return token;
}

// The library only reads the key, which threads may share, and reads the token
// into a place of its own.
bool IsSignedBy(absl::string_view token, const cjose_jwk_t* key) {
  cjose_err ignored;
  const Jws jws(cjose_jws_import(token.data(), token.size(), &ignored));
  return jws != nullptr && cjose_jws_verify(jws.get(), key, &ignored);
}

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("the token ", why));
}

// Times as of RFC 7519: seconds, which may have fractions.
absl::StatusOr<std::optional<absl::Time>> TimeClaim(const json_t* claims,
                                                    const char* name) {
  const json_t* claim = json_object_get(claims, name);
  if (claim == nullptr) return std::nullopt;
  if (!json_is_number(claim)) {
    return Refused(
        absl::StrCat("has a claim \"", name, "\" that is no number"));
  }
  // Seconds() turns what is beyond its range into infinity.
  return absl::UnixEpoch() + absl::Seconds(json_number_value(claim));
}

bool IsFor(const json_t* claims, absl::string_view audience) {
  const json_t* claim = json_object_get(claims, "aud");
  if (json_is_string(claim)) return AsView(claim) == audience;
  bool found = false;
  for (size_t i = 0; i < json_array_size(claim); ++i) {
    const json_t* entry = json_array_get(claim, i);
    if (!json_is_string(entry)) return false;
    found = found || AsView(entry) == audience;
  }
  return found;
}

absl::StatusOr<JwtClaims> CheckClaims(const json_t* claims,
                                      const JwtOptions& options,
                                      absl::Time now) {
  if (Text(claims, "iss") != AsAbsl(options.issuer)) {
    return Refused("is of another issuer than the gateway accepts");
  }
  if (!IsFor(claims, options.audience)) {
    return Refused("is for another audience than this gateway");
  }
  WAGGLE_ASSIGN_OR_RETURN(const auto expires, TimeClaim(claims, "exp"));
  WAGGLE_ASSIGN_OR_RETURN(const auto not_before, TimeClaim(claims, "nbf"));
  WAGGLE_ASSIGN_OR_RETURN(const auto issued, TimeClaim(claims, "iat"));
  if (!expires.has_value()) return Refused("does not expire: it must");
  const absl::Time expires_at = *expires + options.clock_skew;
  if (expires_at <= now) {
    return Refused(absl::StrCat(
        "expired at ", absl::FormatTime(*expires, absl::UTCTimeZone())));
  }
  for (const auto& start : {not_before, issued}) {
    if (start.has_value() && *start - options.clock_skew > now) {
      return Refused(
          absl::StrCat("is not valid before ",
                       absl::FormatTime(*start, absl::UTCTimeZone())));
    }
  }
  const auto subject = Text(claims, "sub");
  if (!subject.has_value() || subject->empty() ||
      subject->size() > kMaxSubjectSize) {
    return Refused(absl::StrCat("must have a subject of 1 to ", kMaxSubjectSize,
                                " bytes"));
  }
  return JwtClaims{.subject = std::string(*subject), .expires_at = expires_at};
}

}  // namespace

struct JwtVerifier::Keys {
  std::vector<Key> keys;
};

JwtVerifier::JwtVerifier(JwtOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      keys_(std::make_shared<const Keys>()) {}

JwtVerifier::~JwtVerifier() = default;

absl::Status JwtVerifier::SetJwks(std::string_view json) {
  if (json.size() > kMaxJwksSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a JWK set over ", kMaxJwksSize, " bytes"));
  }
  const Json set = ParseObject(AsAbsl(json));
  const json_t* entries = json_object_get(set.get(), "keys");
  if (!json_is_array(entries)) {
    return absl::InvalidArgumentError(
        "not a JWK set: it must be a JSON object with an array \"keys\"");
  }
  auto keys = std::make_shared<Keys>();
  WAGGLE_ASSIGN_OR_RETURN(keys->keys, ReadKeys(entries));
  if (keys->keys.empty()) {
    return absl::InvalidArgumentError(
        "no key for RS256 or ES256 in the JWK set");
  }
  MutexLock lock(mu_);
  keys_ = std::move(keys);
  return absl::OkStatus();
}

absl::StatusOr<JwtClaims> JwtVerifier::Verify(std::string_view text) const {
  if (text.size() > kMaxTokenSize || options_.issuer.empty() ||
      options_.audience.empty()) {
    return Invalid();
  }
  const std::optional<Token> token = ReadToken(AsAbsl(text));
  if (!token.has_value()) return Invalid();
  std::shared_ptr<const Keys> keys;
  {
    MutexLock lock(mu_);
    keys = keys_;
  }
  const bool is_signed = absl::c_any_of(keys->keys, [&](const Key& key) {
    return key.algorithm == token->algorithm &&
           (!token->key_id.has_value() || key.id == token->key_id) &&
           IsSignedBy(AsAbsl(text), key.jwk.get());
  });
  if (!is_signed) return Invalid();
  const Json claims = ParseObject(token->payload);
  if (claims == nullptr) {
    return Refused("holds no JSON object with names that differ");
  }
  return CheckClaims(claims.get(), options_, clock_.Now());
}

}  // namespace waggle
