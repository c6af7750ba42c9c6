// Shows that a file that is replaced holds the old bytes or the new ones, whenever the power fails.
#include "io/replace_file.h"

#include "io/io_asserts.h"
#include "simulated/simulated_file_system.h"

namespace ashlar {
namespace {

constexpr const char* kPath = "/folder/file";

ByteVector bytes_of(std::string_view text) {
  const ByteSpan span = as_byte_span(text);
  return {span.begin(), span.end()};
}

std::string content(SimulatedFileSystem& files) {
  const auto bytes = read_file(files, kPath, 100);
  return bytes.ok() ? std::string(as_text(bytes.value())) : "none";
}

void prepare(SimulatedFileSystem& files, bool with_old) {
  ASSERT_DONE(files.make_directory("/folder"));
  ASSERT_DONE(files.sync_directory("/"));
  if (with_old) {
    ASSERT_DONE(replace_file(files, kPath, bytes_of("old")));
  }
}

TEST(ReplaceFile, MakesAndReplaces) {
  SimulatedFileSystem files;
  prepare(files, true);
  EXPECT_EQ(content(files), "old");
  ASSERT_DONE(replace_file(files, kPath, bytes_of("new")));
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(content(files), "new") << "it is durable when the call returns";
}

TEST(ReplaceFile, APowerCutLeavesOldOrNew) {
  for (const bool with_old : {false, true}) {
    SimulatedFileSystem counted;
    prepare(counted, with_old);
    const std::uint64_t begin = counted.operations();
    ASSERT_DONE(replace_file(counted, kPath, bytes_of("new")));
    for (std::uint64_t at = begin; at <= counted.operations(); ++at) {
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SimulatedFileSystem files;
        prepare(files, with_old);
        files.stop_at(at);
        const Status done = replace_file(files, kPath, bytes_of("new"));
        files.crash(seed);
        const std::string found = content(files);
        const std::string before = with_old ? "old" : "none";
        ASSERT_TRUE(found == before || found == "new") << found << " after operation " << at;
        if (done.ok()) {
          ASSERT_EQ(found, "new");
        }
        ASSERT_DONE(replace_file(files, kPath, bytes_of("next")));
        ASSERT_EQ(content(files), "next") << "what the crash left is in no one's way";
      }
    }
  }
}

TEST(ReplaceFile, AFailedOperationKeepsTheOldBytes) {
  SimulatedFileSystem counted;
  prepare(counted, true);
  const std::uint64_t begin = counted.operations();
  ASSERT_DONE(replace_file(counted, kPath, bytes_of("new")));
  for (std::uint64_t at = begin; at < counted.operations(); ++at) {
    SimulatedFileSystem files;
    prepare(files, true);
    files.fail_operation(at, EIO);
    EXPECT_FAILS(replace_file(files, kPath, bytes_of("new")), ErrorCode::kIo);
    const std::string found = content(files);
    EXPECT_TRUE(found == "old" || found == "new") << found;
  }
}

}  // namespace
}  // namespace ashlar
