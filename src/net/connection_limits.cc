#include "net/connection_limits.h"

#include "base/strings.h"

namespace waggle {

ConnectionLimits::Entry ConnectionLimits::Enter(std::string_view key) {
  MutexLock lock(mu_);
  Verdict verdict = Verdict::kAdmitted;
  const auto found = per_address_.find(AsAbsl(key));
  if (admitted_ >= max_open_) {
    verdict = Verdict::kTooMany;
  } else if ((found == per_address_.end() ? 0 : found->second) >=
             max_per_address_) {
    verdict = Verdict::kTooManyFromAddress;
  }
  if (verdict != Verdict::kAdmitted) {
    if (refused_ >= max_refused_) return {verdict, false};
    ++refused_;
    return {verdict, true};
  }
  ++admitted_;
  ++per_address_[AsAbsl(key)];
  return {verdict, true};
}

void ConnectionLimits::Leave(std::string_view key, Verdict verdict) {
  MutexLock lock(mu_);
  if (verdict != Verdict::kAdmitted) {
    --refused_;
    return;
  }
  --admitted_;
  const auto found = per_address_.find(AsAbsl(key));
  if (--found->second == 0) per_address_.erase(found);
}

size_t ConnectionLimits::open() const {
  MutexLock lock(mu_);
  return admitted_ + refused_;
}

}  // namespace waggle
