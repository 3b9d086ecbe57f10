#include "bindbee/samples.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/read_file.h"

namespace waggle {
namespace {

TEST(SamplesTest, AreTheFilesByteForByte) {
  EXPECT_EQ(Samples().size(), 8u);
  for (const Sample& sample : Samples()) {
    const std::string path =
        std::string(WAGGLE_SAMPLES "/") + std::string(sample.name) + ".json";
    EXPECT_EQ(sample.body, ReadFile(path)) << path;
    EXPECT_FALSE(sample.body.empty());
  }
}

TEST(SamplesTest, AreFoundByNameOnly) {
  for (const Sample& sample : Samples()) {
    EXPECT_EQ(FindSample(sample.name), &sample);
    EXPECT_FALSE(sample.description.empty()) << sample.name;
  }
  EXPECT_EQ(FindSample(""), nullptr);
  EXPECT_EQ(FindSample("sync_completed.json"), nullptr);
}

}  // namespace
}  // namespace waggle
