#include "security/access_control.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace waggle {
namespace {

using config::v1::Access;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

constexpr size_t kMaxNameSize = 64;
constexpr size_t kMaxSubjectSize = 255;
constexpr size_t kMaxTokenSize = 8 << 10;
constexpr size_t kMaxTrustDomainSize = 255;
constexpr size_t kMaxSpiffeIdSize = 2048;

constexpr absl::string_view kTokenPrefix = "token:";
constexpr absl::string_view kJwtPrefix = "jwt:";
constexpr absl::string_view kTlsPrefix = "tls:";
constexpr absl::string_view kAnonymous = "anonymous";

bool ConsistsOf(absl::string_view text, bool (*is_allowed)(char)) {
  return std::all_of(text.begin(), text.end(), is_allowed);
}

bool IsAlnum(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c));
}

bool IsLowerOrDigit(char c) { return IsAlnum(c) && !(c >= 'A' && c <= 'Z'); }

bool IsNameChar(char c) {
  return IsLowerOrDigit(c) || c == '-' || c == '_' || c == '.';
}

std::string DigestInHex(std::string_view token) {
  const Sha256Digest digest = Sha256({token});
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

// --- The shapes of what the access file names. Empty: it is right. ---

std::string TokenProblem(absl::string_view digest) {
  const bool is_digest =
      digest.size() == 2 * Sha256Digest().size() &&
      ConsistsOf(digest, [](char c) {
        return absl::ascii_isxdigit(static_cast<unsigned char>(c));
      });
  // What stands here may be a token itself, so it is not repeated.
  return is_digest ? ""
                   : "must be the SHA-256 of the token in hexadecimal: 64 of "
                     "0-9 and a-f";
}

std::string SubjectProblem(absl::string_view subject) {
  if (subject.empty()) return "must not be empty";
  if (subject.size() > kMaxSubjectSize) {
    return absl::StrCat("longer than ", kMaxSubjectSize, " bytes");
  }
  return "";
}

// The SPIFFE ID standard, sections 2.1 to 2.3.
std::string SpiffeProblem(absl::string_view id, absl::string_view rest) {
  if (id.size() > kMaxSpiffeIdSize) {
    return absl::StrCat("longer than ", kMaxSpiffeIdSize, " bytes");
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(rest, '/');
  const absl::string_view trust_domain = parts[0];
  if (trust_domain.empty() || trust_domain.size() > kMaxTrustDomainSize ||
      !ConsistsOf(trust_domain, IsNameChar)) {
    return "the trust domain must be 1 to 255 of a-z, 0-9, \"-\", \"_\" and "
           "\".\"";
  }
  if (parts.size() == 1) {
    return "names a trust domain; add the path of a workload";
  }
  const bool is_path = std::all_of(
      parts.begin() + 1, parts.end(), [](absl::string_view segment) {
        return !segment.empty() && segment != "." && segment != ".." &&
               ConsistsOf(segment, [](char c) {
                 return IsAlnum(c) || c == '-' || c == '_' || c == '.';
               });
      });
  return is_path ? ""
                 : "the parts of the path must be of a-z, A-Z, 0-9, \"-\", "
                   "\"_\" and \".\", and not empty, \".\" or \"..\"";
}

std::string DnsProblem(absl::string_view name) {
  const bool is_name = !name.empty() && ConsistsOf(name, [](char c) {
    return IsAlnum(c) || c == '-' || c == '_' || c == '.';
  });
  return is_name ? "" : "must be one DNS name, without wildcards";
}

std::string TlsIdentityProblem(absl::string_view identity) {
  absl::string_view rest = identity;
  if (absl::ConsumePrefix(&rest, "spiffe://")) {
    return SpiffeProblem(identity, rest);
  }
  if (absl::ConsumePrefix(&rest, "dns:")) return DnsProblem(rest);
  if (absl::ConsumePrefix(&rest, "cn:")) {
    return rest.empty() ? "the common name must not be empty" : "";
  }
  return "must begin with \"spiffe://\", \"dns:\" or \"cn:\"";
}

// --- From the access file to principals. ---

absl::Status CheckAllowList(const config::v1::AllowList& allow,
                            absl::string_view who) {
  for (const auto& [field, values] :
       {std::pair<absl::string_view, const Strings&>{"endpoints",
                                                     allow.endpoints()},
        {"event_types", allow.event_types()},
        {"connector_ids", allow.connector_ids()},
        {"origin_ids", allow.origin_ids()},
        {"integration_slugs", allow.integration_slugs()}}) {
    for (int i = 0; i < values.size(); ++i) {
      if (values[i].empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(who, "allow.", field, "[", i,
                         "]: must not be empty: leave the field out to allow "
                         "everything"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Rights> RightsOf(const config::v1::Principal& principal,
                                absl::string_view who) {
  Rights rights;
  if (principal.has_allow()) {
    WAGGLE_RETURN_IF_ERROR(CheckAllowList(principal.allow(), who));
    rights.allow = principal.allow();
  }
  for (int i = 0; i < principal.capabilities_size(); ++i) {
    const auto capability = CapabilityFromName(principal.capabilities(i));
    if (!capability.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "capabilities[", i, "]: \"",
                       absl::CHexEscape(principal.capabilities(i)),
                       "\" is not one of personal_data, raw_payload, "
                       "deliveries, admin"));
    }
    switch (*capability) {
      case Capability::kPersonalData:
        rights.personal_data = true;
        break;
      case Capability::kRawPayload:
        rights.raw_payload = true;
        break;
      case Capability::kDeliveries:
        rights.deliveries = true;
        break;
      case Capability::kAdmin:
        rights.admin = true;
        break;
    }
  }
  return rights;
}

// "principals[2] (payroll): ".
std::string Who(const Access& access, int index) {
  const std::string& name = access.principals(index).name();
  if (name.empty()) return absl::StrCat("principals[", index, "]: ");
  return absl::StrCat("principals[", index, "] (", absl::CHexEscape(name),
                      "): ");
}

void Sort(Strings& values) { std::sort(values.begin(), values.end()); }

// Equal for two access files that say the same.
std::string Canonical(Access access) {
  for (config::v1::Principal& principal : *access.mutable_principals()) {
    for (std::string& digest : *principal.mutable_token_sha256()) {
      absl::AsciiStrToLower(&digest);
    }
    Sort(*principal.mutable_token_sha256());
    Sort(*principal.mutable_jwt_subjects());
    Sort(*principal.mutable_tls_identities());
    Sort(*principal.mutable_capabilities());
    if (!principal.has_allow()) continue;
    config::v1::AllowList& allow = *principal.mutable_allow();
    Sort(*allow.mutable_endpoints());
    Sort(*allow.mutable_event_types());
    Sort(*allow.mutable_connector_ids());
    Sort(*allow.mutable_origin_ids());
    Sort(*allow.mutable_integration_slugs());
  }
  std::sort(access.mutable_principals()->begin(),
            access.mutable_principals()->end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return access.SerializeAsString();
}

// --- What callers show. ---

// RFC 6750, section 2.1: 1*( ALPHA / DIGIT / "-._~+/" ) *"=".
bool IsToken68(absl::string_view text) {
  while (absl::ConsumeSuffix(&text, "=")) {
  }
  return !text.empty() && ConsistsOf(text, [](char c) {
    return IsAlnum(c) || absl::StrContains("-._~+/", c);
  });
}

// The token of "Bearer <token>"; the scheme's case does not count.
absl::StatusOr<absl::string_view> BearerToken(absl::string_view header) {
  constexpr absl::string_view kScheme = "bearer";
  if (!absl::StartsWithIgnoreCase(header, kScheme) ||
      header.size() == kScheme.size() || header[kScheme.size()] != ' ') {
    return absl::UnauthenticatedError(
        "the authorization must be \"Bearer\", a space, and a token");
  }
  absl::string_view token = header.substr(kScheme.size());
  while (absl::ConsumePrefix(&token, " ")) {
  }
  if (token.size() > kMaxTokenSize) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the bearer token is longer than ", kMaxTokenSize, " bytes"));
  }
  if (!IsToken68(token)) {
    return absl::UnauthenticatedError(
        "the bearer token has characters that no token has; check for line "
        "ends and quotes around it");
  }
  return token;
}

bool LooksLikeJwt(absl::string_view token) {
  return std::count(token.begin(), token.end(), '.') == 2;
}

}  // namespace

struct AccessControl::Policy {
  // By Caller::identity.
  absl::flat_hash_map<std::string, std::shared_ptr<const Principal>> principals;
  absl::flat_hash_set<std::string> names;
  std::string canonical;

  std::shared_ptr<const Principal> Find(absl::string_view identity) const {
    const auto found = principals.find(identity);
    return found != principals.end() ? found->second : nullptr;
  }
};

AccessControl::AccessControl(std::optional<JwtOptions> jwt, const Clock& clock)
    : AccessControl(std::move(jwt), clock, nullptr) {}

AccessControl::AccessControl(std::optional<JwtOptions> jwt, const Clock& clock,
                             std::shared_ptr<const Principal> anonymous)
    : clock_(clock),
      anonymous_(std::move(anonymous)),
      jwt_(jwt.has_value()
               ? std::make_unique<JwtVerifier>(*std::move(jwt), clock)
               : nullptr),
      policy_(std::make_shared<const Policy>()) {}

AccessControl::~AccessControl() = default;

std::unique_ptr<AccessControl> AccessControl::Open(const Clock& clock) {
  // Not make_unique: the constructor is private.
  return std::unique_ptr<AccessControl>(
      new AccessControl(std::nullopt, clock,
                        std::make_shared<const Principal>(Principal{
                            std::string(kAnonymous), Rights::All()})));
}

absl::StatusOr<std::shared_ptr<const AccessControl::Policy>>
AccessControl::Compile(const Access& access) {
  if (access.principals().empty()) {
    return absl::InvalidArgumentError(
        "principals: there must be at least one, or nobody gets in");
  }
  auto policy = std::make_shared<Policy>();
  absl::flat_hash_map<absl::string_view, int> names;
  absl::flat_hash_map<std::string, int> owners;
  for (int i = 0; i < access.principals_size(); ++i) {
    const config::v1::Principal& principal = access.principals(i);
    const std::string who = Who(access, i);
    const std::string& name = principal.name();
    if (name.empty() || name.size() > kMaxNameSize ||
        !ConsistsOf(name, IsNameChar)) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "name: must be 1 to ", kMaxNameSize,
                       " of a-z, 0-9, \"-\", \"_\" and \".\""));
    }
    if (const auto [other, is_new] = names.emplace(name, i); !is_new) {
      return absl::InvalidArgumentError(absl::StrCat(
          who, "name: principals[", other->second, "] has it already"));
    }
    WAGGLE_ASSIGN_OR_RETURN(Rights rights, RightsOf(principal, who));
    const auto shared =
        std::make_shared<const Principal>(Principal{name, std::move(rights)});

    const auto add = [&](absl::string_view field, absl::string_view prefix,
                         const Strings& values,
                         std::string (*problem_of)(absl::string_view),
                         bool ignore_case) -> absl::Status {
      for (int j = 0; j < values.size(); ++j) {
        const std::string where = absl::StrCat(who, field, "[", j, "]: ");
        if (const std::string problem = problem_of(values[j]);
            !problem.empty()) {
          return absl::InvalidArgumentError(absl::StrCat(where, problem));
        }
        const std::string identity = absl::StrCat(
            prefix, ignore_case ? absl::AsciiStrToLower(values[j]) : values[j]);
        if (const auto [owner, is_new] = owners.emplace(identity, i); !is_new) {
          return absl::InvalidArgumentError(absl::StrCat(
              where, "belongs to principals[", owner->second, "] (",
              access.principals(owner->second).name(), ") already"));
        }
        policy->principals.emplace(identity, shared);
      }
      return absl::OkStatus();
    };
    WAGGLE_RETURN_IF_ERROR(add("token_sha256", kTokenPrefix,
                               principal.token_sha256(), TokenProblem, true));
    WAGGLE_RETURN_IF_ERROR(add("jwt_subjects", kJwtPrefix,
                               principal.jwt_subjects(), SubjectProblem,
                               false));
    WAGGLE_RETURN_IF_ERROR(add("tls_identities", kTlsPrefix,
                               principal.tls_identities(), TlsIdentityProblem,
                               false));
    if (principal.token_sha256().empty() && principal.jwt_subjects().empty() &&
        principal.tls_identities().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          who,
          "cannot be recognised: give it token_sha256, jwt_subjects or "
          "tls_identities"));
    }
  }
  for (const config::v1::Principal& principal : access.principals()) {
    policy->names.insert(principal.name());
  }
  policy->canonical = Canonical(access);
  return policy;
}

absl::Status AccessControl::SetPolicy(const Access& access) {
  if (anonymous_ != nullptr) {
    return absl::FailedPreconditionError("everybody is let in");
  }
  WAGGLE_ASSIGN_OR_RETURN(std::shared_ptr<const Policy> compiled,
                          Compile(access));
  MutexLock lock(mu_);
  if (compiled->canonical == policy_->canonical) return absl::OkStatus();
  policy_ = std::move(compiled);
  // After the policy, so that whoever sees the new number finds the new policy.
  ++generation_;
  return absl::OkStatus();
}

absl::Status AccessControl::SetJwks(std::string_view json) {
  if (jwt_ == nullptr) {
    return absl::FailedPreconditionError("no JSON Web Tokens are accepted");
  }
  return jwt_->SetJwks(json);
}

std::shared_ptr<const AccessControl::Policy> AccessControl::policy() const {
  MutexLock lock(mu_);
  return policy_;
}

absl::StatusOr<Caller> AccessControl::Authenticate(
    const Credentials& credentials) const {
  if (anonymous_ != nullptr) {
    return Caller{.principal = anonymous_, .identity = std::string(kAnonymous)};
  }
  if (credentials.authorization.has_value()) {
    return ByToken(*credentials.authorization);
  }
  if (!credentials.tls_identities.empty()) {
    return ByCertificate(credentials);
  }
  return absl::UnauthenticatedError(
      "show a bearer token or a client certificate");
}

absl::StatusOr<Caller> AccessControl::ByToken(
    std::string_view authorization) const {
  WAGGLE_ASSIGN_OR_RETURN(const absl::string_view token,
                          BearerToken(AsAbsl(authorization)));
  const std::string_view bytes(token.data(), token.size());
  const auto policy = this->policy();
  // The look-up need not take constant time: how long it takes tells about
  // digests, which nobody can aim at without knowing a token.
  std::string identity = absl::StrCat(kTokenPrefix, DigestInHex(bytes));
  if (auto principal = policy->Find(identity); principal != nullptr) {
    return Caller{.principal = std::move(principal),
                  .identity = std::move(identity)};
  }
  if (jwt_ == nullptr || !LooksLikeJwt(token)) {
    return absl::UnauthenticatedError(
        "the bearer token is not known: it may be mistyped or withdrawn");
  }
  WAGGLE_ASSIGN_OR_RETURN(const JwtClaims claims, jwt_->Verify(bytes));
  identity = absl::StrCat(kJwtPrefix, claims.subject);
  auto principal = policy->Find(identity);
  if (principal == nullptr) {
    return absl::PermissionDeniedError(
        "the token is valid, but its subject has no rights here: ask the "
        "gateway's operator for them");
  }
  return Caller{.principal = std::move(principal),
                .identity = std::move(identity),
                .expires_at = claims.expires_at};
}

absl::StatusOr<Caller> AccessControl::ByCertificate(
    const Credentials& credentials) const {
  if (clock_.Now() >= credentials.tls_expires_at) {
    return absl::UnauthenticatedError(
        "the client certificate has expired: connect with a new one");
  }
  const auto policy = this->policy();
  Caller caller;
  caller.expires_at = credentials.tls_expires_at;
  for (const std::string& name : credentials.tls_identities) {
    std::string identity = absl::StrCat(kTlsPrefix, name);
    auto principal = policy->Find(identity);
    if (principal == nullptr) continue;
    // To choose one would make rights depend on the order of names.
    if (caller.principal != nullptr && caller.principal != principal) {
      return absl::PermissionDeniedError(
          "the client certificate has the names of several principals: use "
          "one for each");
    }
    if (caller.principal == nullptr) {
      caller.principal = std::move(principal);
      caller.identity = std::move(identity);
    }
  }
  if (caller.principal == nullptr) {
    return absl::PermissionDeniedError(
        "the client certificate is valid, but its name has no rights here: "
        "ask the gateway's operator for them");
  }
  return caller;
}

std::shared_ptr<const Principal> AccessControl::Find(
    std::string_view identity) const {
  if (anonymous_ != nullptr) {
    return AsAbsl(identity) == kAnonymous ? anonymous_ : nullptr;
  }
  return policy()->Find(AsAbsl(identity));
}

bool AccessControl::Names(std::string_view principal) const {
  return policy()->names.contains(AsAbsl(principal));
}

}  // namespace waggle
