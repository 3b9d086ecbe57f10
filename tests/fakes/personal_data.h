// What callers without the capability personal_data are not shown, as the API
// documents it: by the message, so that it checks what works on the bytes.
#ifndef WAGGLE_TESTS_FAKES_PERSONAL_DATA_H_
#define WAGGLE_TESTS_FAKES_PERSONAL_DATA_H_

#include "waggle/v1/event.pb.h"

namespace waggle {

inline void ClearPersonalData(v1::Event& event) {
  if (event.has_connector()) {
    event.mutable_connector()->clear_end_user_name();
    event.mutable_connector()->clear_end_user_email();
  }
  if (event.has_sync_failure()) {
    event.mutable_sync_failure()->clear_detail();
  }
  if (event.has_unrecognized()) event.mutable_unrecognized()->clear_data();
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_PERSONAL_DATA_H_
