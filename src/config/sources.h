// The two sources of a configuration, each read by walking the schema's
// descriptor: what the schema gains, they can read.
#ifndef WAGGLE_CONFIG_SOURCES_H_
#define WAGGLE_CONFIG_SOURCES_H_

#include "config/config.h"
#include "config/raw_config.h"
#include "google/protobuf/message.h"

namespace waggle {

// What a key without a value, or with an empty list, means.
enum class Empty {
  kDefault,  // What is meant by leaving it out.
  kRefused,  // Nothing; it is a problem.
};

// Adds the values of a YAML file. Keys that the schema does not have, repeated
// keys and values of the wrong type become problems. False if it is not YAML at
// all, which is a problem too: nothing can be said of its values then.
bool ReadYaml(const ConfigFile& file, Empty empty,
              google::protobuf::Message& message, ReadingNotes& notes);

// Replaces values by those of variables: WAGGLE_ and the path in capitals, for
// every scalar that is not in a list. Other variables that begin with WAGGLE_
// become problems.
void ReadEnvironment(const Environment& environment, RawConfig& config);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_SOURCES_H_
