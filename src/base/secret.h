// A string that must not be seen: a signing key. It has no way to be printed,
// compared or serialised, and is overwritten when it goes.
#ifndef WAGGLE_BASE_SECRET_H_
#define WAGGLE_BASE_SECRET_H_

#include <string>
#include <string_view>
#include <utility>

#include "openssl/crypto.h"

namespace waggle {

class Secret {
 public:
  // Takes over `value` and cleanses the caller's copy.
  explicit Secret(std::string&& value) : value_(value) { Cleanse(value); }
  Secret(Secret&& other) noexcept : Secret(std::move(other.value_)) {}
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Cleanse(value_);
      value_ = other.value_;
      Cleanse(other.value_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Cleanse(value_); }

  // For the one place that computes with it. Never log or store the result.
  std::string_view Reveal() const { return value_; }

 private:
  // The whole buffer: before it was cut, it may have held more of the secret.
  static void Cleanse(std::string& s) {
    s.resize(s.capacity());
    OPENSSL_cleanse(s.data(), s.size());
    s.clear();
  }

  std::string value_;
};

}  // namespace waggle

#endif  // WAGGLE_BASE_SECRET_H_
