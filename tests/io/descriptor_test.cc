// Shows that reads and writes on descriptors are complete, whatever arrives in parts.
#include "io/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/unique_fd.h"
#include "io/io_asserts.h"

namespace ashlar {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

// More than a pipe holds, so that writes and reads are partial.
constexpr std::size_t kMuch = std::size_t{1} << 20U;

TEST(Descriptor, WritesAllAndReadsAll) {
  Pipe pipe;
  const ByteVector bytes = random_bytes(kMuch, 1);
  Status written;
  std::jthread writer([&] {
    written = write_all(pipe.write.get(), bytes, "the pipe");
    pipe.write.reset();
  });
  const auto read = read_all(pipe.read.get(), kMuch, "the pipe");
  writer.join();
  ASSERT_DONE(written);
  ASSERT_DONE(read);
  EXPECT_TRUE(read.value() == as_text(bytes));
}

TEST(Descriptor, FillsABufferFromParts) {
  Pipe pipe;
  std::jthread writer([&] {
    for (const char* part : {"ab", "cd", "e"}) {
      best_effort(write_all(pipe.write.get(), as_byte_span(part), "the pipe"));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    pipe.write.reset();
  });
  ByteVector out(4);
  EXPECT_EQ(read_full(pipe.read.get(), out, "the pipe").take(), 4U);
  EXPECT_EQ(as_text(out), "abcd");
  EXPECT_EQ(read_full(pipe.read.get(), out, "the pipe").take(), 1U) << "the end comes first";
  EXPECT_EQ(read_full(pipe.read.get(), out, "the pipe").take(), 0U);
}

TEST(Descriptor, TheLimitIsIncluded) {
  for (const std::size_t limit : {4UL, 5UL, 6UL}) {
    Pipe pipe;
    ASSERT_DONE(write_all(pipe.write.get(), as_byte_span("12345"), "the pipe"));
    pipe.write.reset();
    const auto read = read_all(pipe.read.get(), limit, "the pipe");
    EXPECT_EQ(read.ok(), limit >= 5) << limit;
    if (!read.ok()) {
      EXPECT_EQ(read.error().text(), "the pipe is larger than 4 bytes");
    }
  }
}

TEST(Descriptor, ErrorsNameTheThing) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const Status refused = write_all(full.get(), as_byte_span("x"), "the device");
  EXPECT_FAILS(refused, ErrorCode::kExhausted);
  EXPECT_EQ(refused.error().text().find("write to the device"), 0U);
  const UniqueFd folder(::open("/", O_RDONLY | O_CLOEXEC));
  ByteVector out(1);
  EXPECT_FAILS(read_full(folder.get(), out, "the folder"), ErrorCode::kIo);
  EXPECT_FAILS(read_all(folder.get(), 1, "the folder"), ErrorCode::kIo);
}

}  // namespace
}  // namespace ashlar
