// What was released keeps its meaning: today's code reads and writes the stored
// bytes and JSON of every message of every release as that release did. And it
// keeps what a newer gateway may add.
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/golden/golden_files.h"
#include "tests/golden/samples.h"
#include "waggle/v1/event.pb.h"

namespace waggle::golden {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::EnumValueDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FieldDescriptorProto;
using ::google::protobuf::FileDescriptorProto;
using ::google::protobuf::Message;
using ::google::protobuf::UnknownFieldSet;
using ::google::protobuf::util::MessageDifferencer;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::filesystem::path> ReleasesAndNext() {
  auto folders = Releases();
  folders.push_back(Next());
  return folders;
}

// The names of the samples in a folder's files.
std::vector<std::string> SampleNames(const Files& files) {
  std::vector<std::string> names;
  for (const auto& [file, content] : files) {
    const std::filesystem::path path = file;
    if (path.extension() == ".binpb") names.push_back(path.stem());
  }
  return names;
}

TEST(GoldenTest, NextHoldsWhatProtoHasToday) {
  const Files stored = ReadFiles(Next());
  const Files today = FilesOfToday();
  constexpr char kHelp[] =
      " differs: run build/release/tests/golden/update_golden and look at what "
      "changed in tests/golden/next";
  for (const auto& [name, content] : today) {
    const auto file = stored.find(name);
    // JSON is written in more than one way; the other tests compare its
    // meaning.
    EXPECT_TRUE(file != stored.end() &&
                (name.ends_with(".json") || file->second == content))
        << name << kHelp;
  }
  for (const auto& [name, content] : stored) {
    EXPECT_TRUE(today.contains(name)) << name << kHelp;
  }
}

TEST(GoldenTest, EveryMessageOfEveryReleaseIsStored) {
  ASSERT_THAT(Releases(), Not(IsEmpty()));
  for (const auto& release : Releases()) {
    SCOPED_TRACE(release.filename());
    const auto names = SampleNamesOf(release.filename());
    EXPECT_THAT(names, Not(IsEmpty()));
    const Files files = ReadFiles(release);
    for (const std::string& name : names) {
      EXPECT_TRUE(files.contains(name + ".binpb")) << name;
      EXPECT_TRUE(files.contains(name + ".json")) << name;
    }
  }
}

TEST(GoldenTest, StoredMessagesKeepTheirMeaning) {
  for (const auto& folder : ReleasesAndNext()) {
    const Files files = ReadFiles(folder);
    for (const std::string& name : SampleNames(files)) {
      SCOPED_TRACE(folder.filename().string() + "/" + name);
      const Message* prototype = PrototypeOf(name);
      ASSERT_NE(prototype, nullptr) << "the message is gone";
      EXPECT_THAT(Differences(*prototype, files.at(name + ".binpb"),
                              files.at(name + ".json")),
                  IsEmpty());
    }
  }
}

TEST(GoldenTest, StoredEnumValuesKeepNameAndNumber) {
  for (const auto& folder : ReleasesAndNext()) {
    std::istringstream lines(ReadFiles(folder).at("enums.txt"));
    std::string type;
    std::string name;
    int number = 0;
    int count = 0;
    while (lines >> type >> name >> number) {
      SCOPED_TRACE(folder.filename().string() + ": " + type + " " + name);
      ++count;
      const auto* today =
          DescriptorPool::generated_pool()->FindEnumTypeByName(type);
      ASSERT_NE(today, nullptr);
      const EnumValueDescriptor* value = today->FindValueByName(name);
      ASSERT_NE(value, nullptr);
      EXPECT_EQ(value->number(), number);
    }
    EXPECT_TRUE(lines.eof());
    EXPECT_GT(count, 0);
  }
}

// What a gateway of the future could send: numbers that no enum has today, and
// fields that no message has.
void AddTheFuture(Message& message) {
  constexpr int kNumber = 1'000'000;
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int size =
        field->is_repeated() ? reflection.FieldSize(message, field) : 0;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      if (field->is_repeated()) {
        reflection.SetRepeatedEnumValue(&message, field, 0, kNumber);
      } else {
        reflection.SetEnumValue(&message, field, kNumber);
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
               field->message_type()->file()->package() != "google.protobuf") {
      for (int i = 0; i < size; ++i) {
        AddTheFuture(*reflection.MutableRepeatedMessage(&message, field, i));
      }
      if (!field->is_repeated()) {
        AddTheFuture(*reflection.MutableMessage(&message, field));
      }
    }
  }
  UnknownFieldSet& unknown = *reflection.MutableUnknownFields(&message);
  unknown.AddVarint(kNumber, 1);
  unknown.AddLengthDelimited(kNumber + 1, "of a later edition");
}

TEST(GoldenTest, WhatANewerGatewaySendsIsKept) {
  const Files files = ReadFiles(Next());
  for (const std::string& name : SampleNames(files)) {
    SCOPED_TRACE(name);
    const Message& prototype = *PrototypeOf(name);
    const std::unique_ptr<Message> newer(prototype.New());
    ASSERT_TRUE(newer->ParseFromString(files.at(name + ".binpb")));
    AddTheFuture(*newer);

    const std::unique_ptr<Message> read(prototype.New());
    ASSERT_TRUE(read->ParseFromString(ToBytes(*newer)));
    EXPECT_EQ(ToBytes(*read), ToBytes(*newer));

    // JSON has no room for unknown fields, but for numbers of enums.
    const std::unique_ptr<Message> from_json(prototype.New());
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(ToJson(*read),
                                                            from_json.get())
                    .ok());
    read->DiscardUnknownFields();
    EXPECT_TRUE(MessageDifferencer::Equals(*from_json, *read));
  }
}

// That the comparison above shows what it is there for: the sample of a
// message, read by an edition whose message is another.
class ChangedMessageTest : public ::testing::Test {
 protected:
  ChangedMessageTest() {
    file_.set_name("changed.proto");
    file_.set_syntax("proto3");
    file_.set_package("waggle.v1");
    v1::Webhook::descriptor()->CopyTo(file_.add_message_type());
  }

  FieldDescriptorProto& field(int i) {
    return *file_.mutable_message_type(0)->mutable_field(i);
  }

  std::vector<std::string> DifferencesNow() {
    const Files files = ReadFiles(Next());
    const Descriptor* type =
        pool_.BuildFile(file_)->FindMessageTypeByName("Webhook");
    return Differences(*factory_.GetPrototype(type),
                       files.at("waggle.v1.Webhook.binpb"),
                       files.at("waggle.v1.Webhook.json"));
  }

  FileDescriptorProto file_;

 private:
  DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
};

TEST_F(ChangedMessageTest, NoChangeDoesNotShow) {
  EXPECT_THAT(DifferencesNow(), IsEmpty());
}

TEST_F(ChangedMessageTest, ANewFieldDoesNotShow) {
  FieldDescriptorProto& added = *file_.mutable_message_type(0)->add_field();
  added = field(0);
  added.set_name("added");
  added.set_json_name("added");
  added.set_number(100);
  EXPECT_THAT(DifferencesNow(), IsEmpty());
}

TEST_F(ChangedMessageTest, ARemovedFieldShows) {
  file_.mutable_message_type(0)->mutable_field()->RemoveLast();
  EXPECT_THAT(DifferencesNow(), Contains("not all of the bytes is known"));
}

TEST_F(ChangedMessageTest, ANewNumberShows) {
  field(1).set_number(100);
  EXPECT_THAT(DifferencesNow(), Contains("not all of the bytes is known"));
}

TEST_F(ChangedMessageTest, ANewNameShows) {
  field(1).set_name("renamed");
  field(1).set_json_name("renamed");
  EXPECT_THAT(DifferencesNow(), Contains("it is written as other JSON"));
}

TEST_F(ChangedMessageTest, ANewTypeShows) {
  field(1).set_type(FieldDescriptorProto::TYPE_BYTES);
  EXPECT_THAT(DifferencesNow(), Contains("it is written as other JSON"));
}

TEST_F(ChangedMessageTest, SwappedNumbersShow) {
  field(0).set_number(2);
  field(1).set_number(1);
  EXPECT_THAT(DifferencesNow(), Contains("it is written as other JSON"));
}

}  // namespace
}  // namespace waggle::golden
