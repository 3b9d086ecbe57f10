#include "event/redaction.h"

#include <string>

#include "event/wire.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "tests/fakes/personal_data.h"
#include "tests/fakes/random_events.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

constexpr char kSecret[] = "Erika Mustermann";

std::string Redacted(const std::string& event) {
  std::string out;
  EXPECT_TRUE(AppendRedacted(event, out));
  return out;
}

// A field of the event with the given bytes as its message.
std::string Field(int number, const std::string& bytes) {
  std::string out;
  wire::AppendBytesField(out, number, bytes);
  return out;
}

std::string ConnectorField(const std::string& bytes) {
  return Field(v1::Event::kConnectorFieldNumber, bytes);
}

std::string PersonalConnector() {
  v1::Connector connector;
  connector.set_end_user_name(kSecret);
  connector.set_end_user_email(kSecret);
  return connector.SerializeAsString();
}

void ExpectRefused(const std::string& event) {
  std::string out = "before";
  EXPECT_FALSE(AppendRedacted(event, out));
  EXPECT_EQ(out, "before");
}

RC_GTEST_PROP(RedactionProperty, EqualsTheClearedMessageByteByByte,
              (uint64_t seed)) {
  RandomEvents random(seed);
  for (int i = 0; i < 50; ++i) {
    v1::Event event = random.Event();
    const std::string bytes = event.SerializeAsString();
    ClearPersonalData(event);
    std::string out = "before";
    RC_ASSERT(AppendRedacted(bytes, out));
    RC_ASSERT(out == "before" + event.SerializeAsString());
  }
}

// A message may be written in pieces: later ones are merged into the first.
RC_GTEST_PROP(RedactionProperty, HoldsForMessagesThatRepeatTheirFields,
              (uint64_t seed)) {
  RandomEvents random(seed);
  std::string bytes;
  for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
    bytes += random.Event().SerializeAsString();
  }
  v1::Event expected;
  RC_ASSERT(expected.ParseFromString(bytes));
  ClearPersonalData(expected);
  v1::Event redacted;
  std::string out;
  RC_ASSERT(AppendRedacted(bytes, out));
  RC_ASSERT(redacted.ParseFromString(out));
  RC_ASSERT(
      google::protobuf::util::MessageDifferencer::Equals(redacted, expected));
}

RC_GTEST_PROP(RedactionProperty, TruncatedBytesAreRefused, (uint64_t seed)) {
  const std::string bytes = RandomEvents(seed).Event().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    if (v1::Event().ParseFromString(cut)) continue;
    std::string out = "before";
    RC_ASSERT(!AppendRedacted(cut, out));
    RC_ASSERT(out == "before");
  }
}

// Whatever the bytes are: what comes out is refused, or shows nothing personal
// to whoever can read it.
RC_GTEST_PROP(RedactionProperty, MangledBytesNeverShowPersonalData,
              (uint64_t seed)) {
  RandomEvents random(seed);
  for (int round = 0; round < 50; ++round) {
    std::string bytes = random.Event().SerializeAsString();
    for (uint64_t n = random.Below(4); n > 0 && !bytes.empty(); --n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    std::string out = "before";
    if (!AppendRedacted(bytes, out)) {
      RC_ASSERT(out == "before");
      continue;
    }
    v1::Event event;
    if (!event.ParseFromString(out.substr(6))) continue;
    RC_ASSERT(!event.connector().has_end_user_name());
    RC_ASSERT(!event.connector().has_end_user_email());
    RC_ASSERT(!event.unrecognized().has_data());
  }
}

// Else the properties above would say little.
TEST(Redaction, RandomEventsOftenHoldPersonalData) {
  RandomEvents random(1);
  int personal = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string bytes = random.Event().SerializeAsString();
    personal += Redacted(bytes) == bytes ? 0 : 1;
  }
  EXPECT_GT(personal, 300);
}

TEST(Redaction, OfNothingIsNothing) { EXPECT_EQ(Redacted(""), ""); }

TEST(Redaction, TheTraceStays) {
  v1::Event event;
  event.set_traceparent(
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const std::string bytes = event.SerializeAsString();
  EXPECT_EQ(Redacted(bytes + ConnectorField(PersonalConnector())),
            bytes + ConnectorField(""));
}

TEST(Redaction, OrderAndUnknownFieldsStay) {
  v1::Event unknown;
  auto& fields = *unknown.GetReflection()->MutableUnknownFields(&unknown);
  fields.AddVarint(100, 5);
  fields.AddFixed32(101, 5);
  fields.AddFixed64(102, 5);
  fields.AddGroup(104)->AddVarint(1, 2);
  const std::string first = unknown.SerializeAsString();
  v1::Event last;
  last.set_id("id");
  const std::string other = last.SerializeAsString();
  EXPECT_EQ(Redacted(first + ConnectorField(PersonalConnector()) + other),
            first + ConnectorField("") + other);
}

TEST(Redaction, AnUntouchedFieldKeepsItsBytesHoweverTheyAreWritten) {
  // Tag and length in more bytes than they need.
  const std::string connector("\xc2\x00\x84\x00\x0a\x02id", 8);
  EXPECT_EQ(Redacted(connector), connector);
}

TEST(Redaction, PersonalFieldsGoWhateverTheirWireType) {
  v1::Connector connector;
  auto& fields = *connector.GetReflection()->MutableUnknownFields(&connector);
  fields.AddVarint(v1::Connector::kEndUserNameFieldNumber, 7);
  fields.AddGroup(v1::Connector::kEndUserEmailFieldNumber)
      ->AddLengthDelimited(1, kSecret);
  EXPECT_EQ(Redacted(ConnectorField(connector.SerializeAsString())),
            ConnectorField(""));
}

TEST(Redaction, AConnectorThatIsNoMessageIsRefused) {
  v1::Event event;
  auto& fields = *event.GetReflection()->MutableUnknownFields(&event);
  fields.AddGroup(v1::Event::kConnectorFieldNumber)
      ->AddLengthDelimited(v1::Connector::kEndUserNameFieldNumber, kSecret);
  ExpectRefused(event.SerializeAsString());
}

TEST(Redaction, MalformedBytesAreRefused) {
  const std::string personal = PersonalConnector();
  ExpectRefused("\x08");                             // no value
  ExpectRefused(std::string("\x00", 1));             // no tag
  ExpectRefused(std::string("\x02\x00", 2));         // field 0
  ExpectRefused("\x0c");                             // no group
  ExpectRefused("\x0b");                             // no group's end
  ExpectRefused("\x0a\x05four");                     // too long
  ExpectRefused("\x42\xff\xff\xff\xff\x0f");         // far too long
  ExpectRefused(ConnectorField(personal + "\x0a"));  // cut inside
  ExpectRefused(ConnectorField(personal + std::string(1, 0)));  // no tag inside
  ExpectRefused(
      ConnectorField(personal + std::string("\x02\x00", 2)));  // field 0 inside
  ExpectRefused(Field(v1::Event::kUnrecognizedFieldNumber, "\x0a\x05four"));
  ExpectRefused(ConnectorField(personal) + "\x0a\x05four");  // after it
}

}  // namespace
}  // namespace waggle
