#include "source/stream_source.h"

#include <fcntl.h>

#include "source/source.h"
#include "source_rig.h"

namespace ashlar {
namespace {

// Returns the requests that a capture makes of a stream: 4 MiB after 4 MiB, without an end.
RunReader::Plan endless_plan() { return whole_plan(kMaxVolumeBytes); }

// Returns a stream that another process feeds in writes of odd sizes.
std::unique_ptr<Source> stream_of(const ByteVector& bytes, std::size_t write_bytes,
                                  std::optional<ByteCount> expected = std::nullopt) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t put = ::write(ends[1], bytes.data() + at, std::min(write_bytes, bytes.size() - at));
      if (put <= 0) break;
      at += static_cast<std::size_t>(put);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  return make_stream_source(UniqueFd(ends[0]), "the pipe", expected);
}

class StreamSizes : public testing::TestWithParam<std::uint64_t> {};

TEST_P(StreamSizes, EveryByteComesInOrderAndTheSizeIsKnownAtTheEnd) {
  const ByteVector truth = random_bytes(GetParam(), 1);
  const std::unique_ptr<Source> source = stream_of(truth, 70001);
  EXPECT_EQ(source->size(), std::nullopt);
  EXPECT_TRUE(source->identity().empty());
  EXPECT_FALSE(source->next_extent(ByteOffset{0}).ok());
  const std::unique_ptr<RunReader> reader = source->read(endless_plan()).take();
  const Contents contents = drain(*reader, 0, 3);
  EXPECT_TRUE(contents.errors.empty());
  EXPECT_EQ(contents.bytes, padded(truth));
  ASSERT_TRUE(source->size());
  EXPECT_EQ(source->size()->value, truth.size());
  EXPECT_FALSE(reader->next().take()) << "an ended stream stays ended";
  EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, StreamSizes,
                         testing::Values(0, 1, 4095, 4096, kLeafBytes - 1, kLeafBytes, kLeafBytes + 1,
                                         5 * kLeafBytes, 5 * kLeafBytes + 12345));

TEST_P(StreamSizes, AnotherSizeThanTheExpectedOneIsAnError) {
  const std::uint64_t size = GetParam();
  const ByteVector truth = random_bytes(size, 3);
  for (const std::uint64_t expected :
       {size, size + 1, size + kLeafBytes, size - 1, size / 2, std::uint64_t{0}}) {
    if (expected > size + kLeafBytes) continue;  // 0 - 1 wrapped around
    const std::unique_ptr<Source> source = stream_of(truth, 70001, ByteCount{expected});
    const Contents contents = drain(*source->read(endless_plan()).take(), 0, 1);
    EXPECT_EQ(contents.errors.empty(), expected == size) << expected << " of " << size;
    EXPECT_EQ(source->size().has_value(), expected == size);
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

TEST(StreamSource, DashIsStandardInput) {
  const TempDir dir;
  make_file(dir / "in", 0);
  const ByteVector truth = random_bytes(9999, 2);
  write_at(dir / "in", 0, truth);
  const UniqueFd saved(::dup(STDIN_FILENO));
  const UniqueFd file(::open((dir / "in").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_GE(::dup2(file.get(), STDIN_FILENO), 0);
  const std::unique_ptr<Source> source = must_open("-");
  ::dup2(saved.get(), STDIN_FILENO);
  EXPECT_EQ(source->type(), SourceType::kStream);
  EXPECT_EQ(drain(*source->read(endless_plan()).take(), 0, 1).bytes, padded(truth));
}

TEST(StreamSource, AReadErrorIsAnError) {
  const std::unique_ptr<Source> source =
      make_stream_source(UniqueFd(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)), "bad stream");
  const Contents contents = drain(*source->read(endless_plan()).take(), 0, 2);
  ASSERT_EQ(contents.errors.size(), 2U);
  EXPECT_NE(contents.errors[0].find("bad stream: read at 0"), std::string::npos) << contents.errors[0];
  EXPECT_EQ(source->size(), std::nullopt) << "an error is no end";
}

TEST(StreamSource, ACancelledReaderWaitsNoLongerForAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd silent(ends[1]);
  const std::unique_ptr<Source> source = make_stream_source(UniqueFd(ends[0]), "the pipe");
  const std::unique_ptr<RunReader> reader = source->read(endless_plan()).take();
  std::vector<std::jthread> waiting;
  for (int i = 0; i < 3; ++i) waiting.emplace_back([&] { EXPECT_FALSE(reader->next().ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  reader->cancel();
  waiting.clear();
  EXPECT_EQ(source->size(), std::nullopt) << "being cancelled is no end";
}

}  // namespace
}  // namespace ashlar
