// Writes tests/golden/next anew, from proto/. Look at what changed: a field
// that is new there is a field that a release will promise. The releases' own
// files are never written; scripts/freeze-api adds them.
#include <filesystem>
#include <fstream>

#include "tests/golden/golden_files.h"

int main() {
  const std::filesystem::path next = waggle::golden::Next();
  const waggle::golden::Files files = waggle::golden::FilesOfToday();
  std::filesystem::remove_all(next);
  std::filesystem::create_directory(next);
  for (const auto& [name, content] : files) {
    std::ofstream out(next / name, std::ios::binary);
    out << content;
    if (!out.flush()) return 1;
  }
}
