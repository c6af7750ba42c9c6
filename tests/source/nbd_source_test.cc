#include "source/nbd_source.h"

#include "host_rig.h"
#include "source/source.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class NbdSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_program("qemu-nbd") || !has_program("qemu-img") || !has_program("qemu-io") ||
        !has_program("nbdkit")) {
      GTEST_SKIP() << "needs qemu-nbd, qemu-img, qemu-io and nbdkit";
    }
  }
  std::string socket() const { return dir_ / "sock"; }
  std::string uri() const { return "nbd+unix:///?socket=" + socket(); }
  std::string image(const std::string& name) const { return dir_ / name; }

  const TempDir dir_;
};

// qemu-nbd reports the holes of a raw image: it has 1 MiB of data at 3 MiB, and the rest is a hole.
TEST_F(NbdSourceTest, QemuTellsItsHoles) {
  make_file(image("disk"), 64 * kMiB);
  write_at(image("disk"), 3 * kMiB, random_bytes(kMiB, 1));
  Daemon server("qemu-nbd -t -r -f raw -k " + socket() + " " + image("disk"), socket());
  const std::unique_ptr<Source> source = must_open(uri());
  EXPECT_EQ(source->type(), SourceType::kNbd);
  EXPECT_EQ(source->size()->value, 64 * kMiB);
  EXPECT_FALSE(source->changed_extents().take());
  std::uint64_t data = 0;
  std::uint64_t holes = 0;
  for (const SourceExtent& extent : extents_of(*source)) {
    if (extent.state == SourceState::kData) data += extent.bytes.value;
    if (extent.state == SourceState::kUnallocated) holes += extent.bytes.value;
  }
  EXPECT_EQ(data, kMiB);
  EXPECT_EQ(holes, 63 * kMiB);
  EXPECT_TRUE(read_whole(*source, 3).bytes == file_bytes(image("disk")));
}

// A hole with undefined bytes has to be read as data; zeros that are allocated are not reported as a hole.
TEST_F(NbdSourceTest, ThreeStatesAreToldApart) {
  Daemon server("nbdkit -f -U " + socket() +
                    " eval get_size='echo 24576' pread='head -c $3 /dev/zero' can_extents='exit 0' extents='"
                    "echo 0 8192 hole; echo 8192 8192 zero; echo 16384 8192 hole,zero'",
                socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const std::vector<SourceExtent> extents = extents_of(*source);
  ASSERT_EQ(extents.size(), 3U);
  EXPECT_EQ(extents[0].state, SourceState::kData);
  EXPECT_EQ(extents[1].state, SourceState::kZero);
  EXPECT_EQ(extents[2].state, SourceState::kUnallocated);
}

TEST_F(NbdSourceTest, ADirtyBitmapGivesTheChangedExtents) {
  const std::string disk = image("disk.qcow2");
  ASSERT_TRUE(shell("qemu-img create -q -f qcow2 " + disk +
                    " 64M && qemu-io -f qcow2 -c 'write -P 1 0 32M' " + disk +
                    " >/dev/null && qemu-img bitmap --add -g 65536 " + disk +
                    " since_monday && qemu-io -f qcow2 "
                    "-c 'write -P 2 5M 100k' -c 'write -P 3 40M 4k' " +
                    disk + " >/dev/null"));
  Daemon server("qemu-nbd -t -r -f qcow2 -B since_monday -k " + socket() + " " + disk, socket());
  {
    const std::unique_ptr<Source> source = must_open(uri(), {"since_monday"});
    const std::vector<SourceExtent> changed = *source->changed_extents().take();
    ASSERT_EQ(changed.size(), 2U);
    EXPECT_EQ(changed[0].offset.value, 5 * kMiB);
    EXPECT_EQ(changed[0].bytes.value, 128 * 1024U) << "two granules of 64 KiB";
    EXPECT_EQ(changed[1].offset.value, 40 * kMiB);
    EXPECT_EQ(changed[1].bytes.value, 64 * 1024U);
    EXPECT_FALSE(extents_of(*source).empty()) << "allocation is told as well";
  }
  Result<std::unique_ptr<Source>> wrong = open_source(uri(), {"since_tuesday"});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(wrong.error().text().find("since_tuesday"), std::string::npos);
}

// qemu-nbd accepts one client only: the plan, which asks for extents while reads are in flight, has to use
// the same connection.
TEST_F(NbdSourceTest, ExtentsAreAskedForWhileReadsAreInFlight) {
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Prng random(seed);
  constexpr std::uint64_t kSize = 192 * kMiB;
  make_file(image("disk"), kSize);
  for (int i = 0; i < 60; ++i) {
    write_at(image("disk"), random.below(kSize / kBlockBytes - 256) * kBlockBytes,
             random_bytes(kMiB, random.next()));
  }
  const ByteVector truth = file_bytes(image("disk"));
  Daemon server("qemu-nbd -t -r -f raw -k " + socket() + " " + image("disk"), socket());
  const std::unique_ptr<Source> source = must_open(uri());
  RunReader::Plan plan = [&, at = std::uint64_t{0}, end = std::uint64_t{0},
                          ordinal = std::uint64_t{0}]() mutable -> Result<std::optional<RunRequest>> {
    while (at == end) {
      if (end == kSize) return std::optional<RunRequest>();
      const SourceExtent extent = TRY(source->next_extent(ByteOffset{end}));
      end += extent.bytes.value;
      at = extent.state == SourceState::kData ? extent.offset.value : end;
    }
    const RunRequest request{ordinal++, ByteOffset{at}, ByteCount{std::min(end - at, kLeafBytes)}};
    at += request.bytes.value;
    return std::optional(request);
  };
  const std::unique_ptr<RunReader> reader = source->read(plan).take();
  const Contents contents = drain(*reader, kSize, 4);
  EXPECT_TRUE(contents.errors.empty());
  ByteVector expected(kSize, std::byte{0xEE});
  for (const SourceExtent& extent : extents_of(*source)) {
    if (extent.state != SourceState::kData) continue;
    std::memcpy(expected.data() + extent.offset.value, truth.data() + extent.offset.value,
                extent.bytes.value);
  }
  EXPECT_TRUE(contents.bytes == expected);
}

// A server without a map of extents reports all as data, and its export may have an odd size.
TEST_F(NbdSourceTest, OddSizesAndServersWithoutAnyMap) {
  make_file(image("disk"), 0);
  write_at(image("disk"), 0, random_bytes(5 * kMiB + 1234, 2));
  Daemon server("nbdkit -f -U " + socket() + " --filter=noextents file " + image("disk"), socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const std::vector<SourceExtent> extents = extents_of(*source);
  ASSERT_FALSE(extents.empty());
  for (const SourceExtent& extent : extents) EXPECT_EQ(extent.state, SourceState::kData);
  EXPECT_TRUE(read_whole(*source, 2).bytes == padded(file_bytes(image("disk"))));
}

// The extents of this server end within blocks: [0, 5000) is data, [5000, 9000) a hole, then come zeros, and
// 100 bytes of data at 40000.
TEST_F(NbdSourceTest, PiecesThatEndWithinBlocksLoseNoData) {
  Daemon server("nbdkit -f -U " + socket() +
                    " eval get_size='echo 50000' pread='head -c $3 /dev/zero' can_extents='exit 0' extents='"
                    "echo 0 5000; echo 5000 4000 hole,zero; echo 9000 31000 zero; echo 40000 100; "
                    "echo 40100 9900 hole,zero'",
                socket());
  const std::unique_ptr<Source> source = must_open(uri());
  std::vector<std::pair<std::uint64_t, SourceState>> seen;
  for (const SourceExtent& extent : extents_of(*source)) {
    const std::uint64_t end = extent.offset.value + extent.bytes.value;
    if (!seen.empty() && seen.back().second == extent.state) {
      seen.back().first = end;
    } else {
      seen.emplace_back(end, extent.state);
    }
  }
  const std::vector<std::pair<std::uint64_t, SourceState>> expected = {{8192, SourceState::kData},
                                                                       {36864, SourceState::kZero},
                                                                       {40960, SourceState::kData},
                                                                       {50000, SourceState::kUnallocated}};
  EXPECT_EQ(seen, expected);
}

TEST_F(NbdSourceTest, BadBlocksAreNamedAndTheRestIsRead) {
  make_file(image("disk"), 0);
  write_at(image("disk"), 0, random_bytes(8 * kMiB, 3));
  const std::string read =
      "for bad in 7 8 1000 2047; do s=$((bad*4096)); if [ $4 -lt $((s+4096)) ] && [ $(($4+$3)) -gt $s ]; "
      "then "
      "echo EIO bad sector >&2; exit 1; fi; done; "
      "dd if=" +
      image("disk") + " skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none";
  Daemon server("nbdkit -f -U " + socket() + " eval get_size='echo 8388608' pread='" + read + "' 2>/dev/null",
                socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const Contents contents = read_whole(*source, 3);
  EXPECT_TRUE(contents.errors.empty());
  const std::vector<BlockRange> lost = {
      {Lba{7}, BlockCount{2}}, {Lba{1000}, BlockCount{1}}, {Lba{2047}, BlockCount{1}}};
  EXPECT_EQ(contents.unreadable, lost);
  ByteVector truth = file_bytes(image("disk"));
  for (const BlockRange range : lost) {
    std::memset(truth.data() + byte_offset(range.first).value, 0, byte_count(range.count).value);
  }
  EXPECT_TRUE(contents.bytes == truth);
}

// Errors that do not concern the medium fail the read (libnbd CVE-2022-0485: they come in the callback only).
TEST_F(NbdSourceTest, OtherErrorsAreErrorsAndNeverZeros) {
  Daemon server("nbdkit -f -U " + socket() +
                    " eval get_size='echo 8388608' "
                    "pread='if [ $4 -ge 4194304 ]; then echo ENOMEM no >&2; exit 1; fi; head -c $3 "
                    "/dev/zero' 2>/dev/null",
                socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const Contents contents = read_whole(*source, 2);
  ASSERT_EQ(contents.errors.size(), 2U);
  EXPECT_TRUE(contents.unreadable.empty());
}

TEST_F(NbdSourceTest, AServerThatDiesIsAnErrorForEveryThread) {
  Daemon server("nbdkit -f -U " + socket() + " --filter=delay memory 256M rdelay=50ms", socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const std::unique_ptr<RunReader> reader = source->read(whole_plan(256 * kMiB)).take();
  ASSERT_TRUE(reader->next().ok());
  std::jthread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    server.stop(SIGKILL);
  });
  const Contents contents = drain(*reader, 256 * kMiB, 4);
  EXPECT_EQ(contents.errors.size(), 4U);
  EXPECT_TRUE(contents.unreadable.empty());
  EXPECT_FALSE(source->next_extent(ByteOffset{0}).ok());
}

TEST_F(NbdSourceTest, AReaderMayBeDroppedWhileTheServerHangs) {
  Daemon server("nbdkit -f -U " + socket() + " --filter=delay memory 64M rdelay=3600", socket());
  const std::unique_ptr<Source> source = must_open(uri());
  std::unique_ptr<RunReader> reader = source->read(whole_plan(64 * kMiB)).take();
  std::atomic<bool> ended{false};
  std::jthread waiting([&] {
    EXPECT_FALSE(reader->next().ok()) << "the server is killed before it answers";
    ended = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(ended);
  server.stop(SIGKILL);
  waiting.join();
  reader.reset();
}

TEST_F(NbdSourceTest, ACancelledReaderLeavesAServerThatHangs) {
  Daemon server("nbdkit -f -U " + socket() + " --filter=delay memory 64M rdelay=3600", socket());
  const std::unique_ptr<Source> source = must_open(uri());
  const std::unique_ptr<RunReader> reader = source->read(whole_plan(64 * kMiB)).take();
  std::vector<std::jthread> waiting;
  for (int i = 0; i < 3; ++i) waiting.emplace_back([&] { EXPECT_FALSE(reader->next().ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  reader->cancel();
  waiting.clear();
  EXPECT_FALSE(reader->next().ok());
}

TEST_F(NbdSourceTest, NobodyListensIsAClearError) {
  Result<std::unique_ptr<Source>> source = open_source("nbd+unix:///?socket=" + image("none"), {});
  ASSERT_FALSE(source.ok());
  EXPECT_NE(source.error().text().find("no NBD server answers at nbd+unix:///?socket="), std::string::npos)
      << source.error().text();
  EXPECT_EQ(source.error().text().find("nbd_connect_uri"), std::string::npos) << source.error().text();
}

TEST_F(NbdSourceTest, BlocksLargerThanOursAreRefused) {
  Daemon server("nbdkit -f -U " + socket() +
                    " --filter=blocksize-policy memory 64M blocksize-minimum=65536 blocksize-preferred=65536",
                socket());
  Result<std::unique_ptr<Source>> source = open_source(uri(), {});
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().code(), ErrorCode::kUnsupported) << source.error().text();
}

}  // namespace
}  // namespace ashlar
