// For objects of C libraries in std::unique_ptr: a deleter that calls the
// function which releases them.
//
//   using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
#ifndef WAGGLE_BASE_DELETER_H_
#define WAGGLE_BASE_DELETER_H_

namespace waggle {

template <auto release>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};

}  // namespace waggle

#endif  // WAGGLE_BASE_DELETER_H_
