// JSON to google.protobuf.Struct, within the limits of decoder.h.
#ifndef WAGGLE_BINDBEE_STRUCT_BUILDER_H_
#define WAGGLE_BINDBEE_STRUCT_BUILDER_H_

#include "bindbee/json.h"
#include "google/protobuf/struct.pb.h"

namespace waggle {

// False, leaving `out` empty, if it would go beyond the limits. Numbers become
// floating point, so integers beyond 2^53 lose their last digits. Of several
// members with one name the last counts.
bool BuildStruct(const JsonObject& object, google::protobuf::Struct& out);

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_STRUCT_BUILDER_H_
