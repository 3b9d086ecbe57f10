// A configuration on its way from its sources to Settings: the values as they
// were written, where each was written, and what was wrong so far.
//
// A path names a value in it, as "webhook.endpoints[0].name".
#ifndef WAGGLE_CONFIG_RAW_CONFIG_H_
#define WAGGLE_CONFIG_RAW_CONFIG_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "waggle/config/v1/config.pb.h"

namespace waggle {

// What reading leaves besides the values themselves.
struct ReadingNotes {
  // By path: "waggle.yaml:12:11", "WAGGLE_GRPC_LISTEN".
  std::map<std::string, std::string> places;
  // One line each.
  std::vector<std::string> problems;

  void AddProblem(absl::string_view place, absl::string_view what) {
    problems.push_back(absl::StrCat(place, ": ", what));
  }

  // The place of `path` in front, if it was written at all.
  void AddProblemAt(const std::string& path, absl::string_view what) {
    const auto place = places.find(path);
    if (place == places.end()) {
      AddProblem(path, what);
    } else {
      AddProblem(place->second, absl::StrCat(path, ": ", what));
    }
  }
};

struct RawConfig {
  config::v1::Config message;
  ReadingNotes notes;
};

// "grpc" and "listen" to "grpc.listen"; an empty parent is the whole.
std::string JoinPath(absl::string_view parent, absl::string_view name);

// Empty if `text` will do for a string, else what is wrong with it.
std::string CheckText(absl::string_view text);

// Sets a singular scalar of `message` from the text of it. Empty if that
// worked, else what the field takes.
std::string SetScalar(google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor& field,
                      const std::string& text);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_RAW_CONFIG_H_
