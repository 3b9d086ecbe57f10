// The messages that are stored as golden files: every field is filled, with
// values that follow from the message's type alone.
#ifndef WAGGLE_TESTS_GOLDEN_SAMPLES_H_
#define WAGGLE_TESTS_GOLDEN_SAMPLES_H_

#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace waggle::golden {

struct Sample {
  // The type's full name; of several samples of a type, with the field of the
  // oneof that is set: "waggle.v1.Event.sync_status".
  std::string name;
  std::unique_ptr<google::protobuf::Message> message;
};

// One sample of the prototype's type, or one for each field of its oneofs.
std::vector<Sample> SamplesOf(const google::protobuf::Message& prototype);

// All messages of the files, in order.
std::vector<const google::protobuf::Descriptor*> MessagesOf(
    const std::vector<const google::protobuf::FileDescriptor*>& files);

// All enums of the files, in order.
std::vector<const google::protobuf::EnumDescriptor*> EnumsOf(
    const std::vector<const google::protobuf::FileDescriptor*>& files);

// As bytes, in the order of field numbers.
std::string ToBytes(const google::protobuf::Message& message);

}  // namespace waggle::golden

#endif  // WAGGLE_TESTS_GOLDEN_SAMPLES_H_
