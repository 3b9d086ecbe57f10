#include "tests/golden/golden_files.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/golden/samples.h"

namespace waggle::golden {
namespace {

namespace fs = std::filesystem;
using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::MessageFactory;
using ::google::protobuf::util::MessageDifferencer;

[[noreturn]] void Die(const std::string& why) {
  std::cerr << why << std::endl;
  std::abort();
}

const DescriptorPool& GeneratedPool() {
  return *DescriptorPool::generated_pool();
}

// Relative to `root`, in order.
std::vector<std::string> ProtoFiles(const fs::path& root) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".proto") {
      names.push_back(fs::relative(entry.path(), root).generic_string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// All of proto/, as generated code has it.
std::vector<const FileDescriptor*> FilesOfProto() {
  std::vector<const FileDescriptor*> files;
  for (const std::string& name : ProtoFiles(WAGGLE_PROTO)) {
    const FileDescriptor* file = GeneratedPool().FindFileByName(name);
    if (file == nullptr) Die(name + " is not compiled");
    files.push_back(file);
  }
  return files;
}

// Whatever the order of keys and the spaces.
bool SameJson(const std::string& a, const std::string& b) {
  google::protobuf::Value values[2];
  return google::protobuf::util::JsonStringToMessage(a, &values[0]).ok() &&
         google::protobuf::util::JsonStringToMessage(b, &values[1]).ok() &&
         MessageDifferencer::Equals(values[0], values[1]);
}

}  // namespace

std::vector<fs::path> Releases() {
  std::vector<fs::path> releases;
  for (const auto& entry : fs::directory_iterator(WAGGLE_GOLDEN)) {
    if (fs::exists(entry.path() / "proto")) releases.push_back(entry.path());
  }
  std::sort(releases.begin(), releases.end());
  return releases;
}

fs::path Next() { return fs::path(WAGGLE_GOLDEN) / "next"; }

Files ReadFiles(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] =
        std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

Files FilesOfToday() {
  const auto files = FilesOfProto();
  Files golden;
  for (const Descriptor* type : MessagesOf(files)) {
    const Message& prototype =
        *MessageFactory::generated_factory()->GetPrototype(type);
    for (const Sample& sample : SamplesOf(prototype)) {
      golden[sample.name + ".binpb"] = ToBytes(*sample.message);
      golden[sample.name + ".json"] = ToJson(*sample.message);
    }
  }
  std::string& enums = golden["enums.txt"];
  for (const EnumDescriptor* type : EnumsOf(files)) {
    for (int i = 0; i < type->value_count(); ++i) {
      absl::StrAppend(&enums, type->full_name(), " ", type->value(i)->name(),
                      " ", type->value(i)->number(), "\n");
    }
  }
  return golden;
}

std::vector<std::string> SampleNamesOf(const std::string& release) {
  const fs::path file = fs::path(WAGGLE_RELEASED_APIS) / (release + ".binpb");
  std::ifstream in(file, std::ios::binary);
  google::protobuf::FileDescriptorSet api;
  if (!api.ParseFromIstream(&in)) {
    Die(file.string() + " is no descriptor set");
  }
  DescriptorPool pool;
  std::vector<const FileDescriptor*> files;
  for (const auto& proto : api.file()) {
    const FileDescriptor* built = pool.BuildFile(proto);
    if (built == nullptr) Die(proto.name() + " cannot be built");
    if (built->package() != "google.protobuf") files.push_back(built);
  }
  google::protobuf::DynamicMessageFactory factory;
  std::vector<std::string> names;
  for (const Descriptor* type : MessagesOf(files)) {
    for (Sample& sample : SamplesOf(*factory.GetPrototype(type))) {
      names.push_back(std::move(sample.name));
    }
  }
  return names;
}

std::vector<std::string> Differences(const Message& prototype,
                                     const std::string& bytes,
                                     const std::string& json) {
  std::vector<std::string> differences;
  const std::unique_ptr<Message> message(prototype.New());
  if (!message->ParseFromString(bytes)) return {"the bytes cannot be parsed"};
  message->DiscardUnknownFields();
  if (ToBytes(*message) != bytes) {
    differences.push_back("not all of the bytes is known");
  }
  if (!SameJson(ToJson(*message), json)) {
    differences.push_back("it is written as other JSON");
  }
  const std::unique_ptr<Message> from_json(prototype.New());
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(json, from_json.get());
  if (!parsed.ok()) {
    differences.push_back(absl::StrCat("the JSON cannot be parsed: ",
                                       std::string(parsed.message())));
  } else if (!MessageDifferencer::Equals(*message, *from_json)) {
    differences.push_back("the bytes and the JSON mean different things");
  }
  return differences;
}

const Message* PrototypeOf(const std::string& sample_name) {
  const Descriptor* type = GeneratedPool().FindMessageTypeByName(sample_name);
  if (type == nullptr) {
    type = GeneratedPool().FindMessageTypeByName(
        sample_name.substr(0, sample_name.rfind('.')));
  }
  if (type == nullptr) return nullptr;
  return MessageFactory::generated_factory()->GetPrototype(type);
}

std::string ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) Die(status.ToString());
  return json;
}

}  // namespace waggle::golden
