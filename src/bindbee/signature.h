// Bindbee's signature of a webhook: HMAC-SHA256 of the raw body under the
// organisation's key, as base64url with padding, in one header.
//
//   headers.Set(kSignatureHeader, Sign(key, body));
//   if (!Verify(keys, headers.Values(kSignatureHeader), body)) Refuse();
//
// The key's bytes are used as they stand, whole and undecoded. Nothing in the
// signature tells when it was made: a captured webhook verifies for ever, and
// only deduplication keeps it from becoming an event again.
#ifndef WAGGLE_BINDBEE_SIGNATURE_H_
#define WAGGLE_BINDBEE_SIGNATURE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "base/secret.h"

namespace waggle {

inline constexpr char kSignatureHeader[] = "X-Bindbee-Webhook-Signature";

// The value of the signature header: always 44 characters.
std::string Sign(std::string_view key, std::string_view body);

// Which of `keys` signed `body`, by its index; nothing if none did.
// `signatures` are the values of all signature headers: there must be exactly
// one, and it must be what Sign() gives, character by character.
//
// Takes the same way for no signature, several, a malformed or a wrong one: it
// signs with every key and compares in time that does not depend on where the
// signatures differ, so that an answer's timing tells nothing about a key.
std::optional<size_t> Verify(absl::Span<const Secret> keys,
                             absl::Span<const std::string_view> signatures,
                             std::string_view body);

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_SIGNATURE_H_
