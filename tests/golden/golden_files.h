// Where the golden files are, and what they say. In tests/golden, of each
// release and of "next", which is proto/ as it is today:
//
//   proto/        the API as it was released; not of next
//   NAME.binpb    a sample of each message, see samples.h
//   NAME.json     the same in JSON
//   enums.txt     each value of each enum: type, name and number
#ifndef WAGGLE_TESTS_GOLDEN_GOLDEN_FILES_H_
#define WAGGLE_TESTS_GOLDEN_GOLDEN_FILES_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace waggle::golden {

// What does not change: the folders of the releases, in order.
std::vector<std::filesystem::path> Releases();
std::filesystem::path Next();

// File names, with their contents.
using Files = std::map<std::string, std::string>;

// Without what is in folders.
Files ReadFiles(const std::filesystem::path& folder);

// The golden files of proto/, as today's generated code writes them.
Files FilesOfToday();

// The names of the samples of all messages that the release's protos have.
std::vector<std::string> SampleNamesOf(const std::string& release);

// How today's code differs from what the stored sample of a message says: none
// if it reads and writes the same.
std::vector<std::string> Differences(const google::protobuf::Message& prototype,
                                     const std::string& bytes,
                                     const std::string& json);

// The type of a sample, as generated code has it; null if it has none.
const google::protobuf::Message* PrototypeOf(const std::string& sample_name);

std::string ToJson(const google::protobuf::Message& message);

}  // namespace waggle::golden

#endif  // WAGGLE_TESTS_GOLDEN_GOLDEN_FILES_H_
