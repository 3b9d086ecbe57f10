// What stands for a secret where people see it, in metrics and logs.
#ifndef WAGGLE_BASE_FINGERPRINT_H_
#define WAGGLE_BASE_FINGERPRINT_H_

#include <string>

#include "base/secret.h"

namespace waggle {

// 12 hexadecimal characters: equal for equal secrets, and else all but surely
// not. From a digest of its own, so that it is no part of one under which the
// secret is known elsewhere. Tells nothing of a random secret; one that can be
// guessed can be guessed by it.
std::string Fingerprint(const Secret& secret);

}  // namespace waggle

#endif  // WAGGLE_BASE_FINGERPRINT_H_
