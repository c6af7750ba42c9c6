// Tests of quantities, bytes, checked arithmetic, errors, clocks and random numbers.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <type_traits>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "base/random.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {
namespace {

static_assert(!std::is_convertible_v<Lba, ByteOffset> && !std::is_convertible_v<std::uint64_t, Lba>);
static_assert(!std::is_constructible_v<Lba, ByteOffset> && !std::is_copy_constructible_v<UniqueFd>);

TEST(Quantity, ConvertsBetweenBlocksAndBytes) {
  EXPECT_EQ(byte_offset(Lba{3}).value, 12288U);
  EXPECT_EQ(lba_of(ByteOffset{12287}), Lba{2});
  EXPECT_EQ(byte_count(BlockCount{2}).value, 8192U);
  EXPECT_EQ(byte_offset(lba_of(ByteOffset{kMaxVolumeBytes})).value, kMaxVolumeBytes);
}

TEST(Quantity, AShortLastBlockCounts) {
  EXPECT_EQ(blocks_covering(ByteCount{0}).value, 0U);
  EXPECT_EQ(blocks_covering(ByteCount{1}).value, 1U);
  EXPECT_EQ(blocks_covering(ByteCount{4096}).value, 1U);
  EXPECT_EQ(blocks_covering(ByteCount{4097}).value, 2U);
  EXPECT_EQ(blocks_covering(ByteCount{~std::uint64_t{0}}).value, std::uint64_t{1} << 52U);
}

TEST(Quantity, ARangeEndsBehindItsLastBlock) {
  const BlockRange range{Lba{10}, BlockCount{5}};
  EXPECT_EQ(range.end(), Lba{15});
  EXPECT_EQ(range.end() - range.first, range.count);
  EXPECT_TRUE((BlockRange{Lba{10}, BlockCount{0}}.empty()));
}

TEST(IsZero, FindsOneBitAnywhereInAnyLength) {
  for (std::size_t size : {0UL, 1UL, 7UL, 8UL, 127UL, 128UL, 129UL, 4096UL, 5001UL}) {
    ByteVector bytes(size + 1);
    for (const std::size_t skew : {0UL, 1UL}) {
      const MutableByteSpan span = MutableByteSpan(bytes).subspan(skew, size);
      EXPECT_TRUE(is_zero(span));
      for (std::size_t at = 0; at < size; ++at) {
        span[at] = std::byte{0x80};
        ASSERT_FALSE(is_zero(span)) << "byte " << at << " of " << size;
        span[at] = std::byte{0};
      }
    }
    // A set byte outside of the span does not count.
    bytes[size] = std::byte{1};
    EXPECT_TRUE(is_zero(ByteSpan(bytes).first(size)));
  }
}

TEST(AlignedBuffer, IsAlignedAndMoves) {
  for (const std::size_t size : {0UL, 1UL, 4096UL, 100'000UL}) {
    AlignedBuffer buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096, 0U);
    EXPECT_EQ(buffer.size(), size);
    const std::byte* where = buffer.data();
    const AlignedBuffer moved(std::move(buffer));
    EXPECT_EQ(moved.data(), where);
    EXPECT_EQ(moved.span().size(), size);
  }
}

TEST(AlignedBuffer, AMovedFromBufferIsEmpty) {
  AlignedBuffer buffer(4096);
  AlignedBuffer moved(std::move(buffer));
  // The state after the move is what is tested.
  const AlignedBuffer& left = buffer;  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(left.data(), nullptr);     // NOLINT(clang-analyzer-cplusplus.Move)
  EXPECT_TRUE(left.empty());
  buffer = std::move(moved);
  EXPECT_EQ(buffer.size(), 4096U);
}

TEST(BytesEqual, ComparesLengthsAndBytes) {
  EXPECT_TRUE(bytes_equal({}, {}));
  EXPECT_TRUE(bytes_equal(as_byte_span("abc"), as_byte_span("abc")));
  EXPECT_FALSE(bytes_equal(as_byte_span("abc"), as_byte_span("abd")));
  EXPECT_FALSE(bytes_equal(as_byte_span("abc"), as_byte_span("ab")));
  EXPECT_EQ(as_text(as_byte_span("a\0b")), "a");
}

TEST(Checked, AnOverflowIsAnAnswer) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(checked_add(kMost - 1, std::uint64_t{1}), kMost);
  EXPECT_EQ(checked_add(kMost, std::uint64_t{1}), std::nullopt);
  EXPECT_EQ(checked_mul(kMost / 2, std::uint64_t{2}), kMost - 1);
  EXPECT_EQ(checked_mul(kMost / 2 + 1, std::uint64_t{2}), std::nullopt);
  EXPECT_EQ(checked_mul(kMost, std::uint64_t{0}), 0U);
  EXPECT_EQ(checked_mul<std::uint8_t>(16, 16), std::nullopt);
  EXPECT_EQ((checked_mul<std::uint16_t>(0x8000, 2)), std::nullopt);
}

Result<int> half(int number) {
  if (number % 2 != 0) return invalid("odd");
  return number / 2;
}
Result<int> quarter(int number) { return half(TRY(half(number))); }

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(quarter(12).take(), 3);
  EXPECT_EQ(quarter(6).error().text(), "odd");
  EXPECT_EQ(quarter(6).with_context("quarter of 6").take_error().text(), "quarter of 6: odd");
  EXPECT_EQ(quarter(12).with_context("unused").take(), 3);
}

TEST(Result, CarriesWhatOnlyMoves) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
  const auto twice = [&]() -> Result<std::unique_ptr<int>> {
    auto number = TRY(make());
    *number *= 2;
    return number;
  };
  EXPECT_EQ(*twice().take(), 10);
}

TEST(Error, AnErrnoTellsWhatTheCallerMayDo) {
  EXPECT_EQ(Error::from_errno(ENOSPC, "x").code(), ErrorCode::kExhausted);
  EXPECT_EQ(Error::from_errno(EDQUOT, "x").code(), ErrorCode::kExhausted);
  EXPECT_EQ(Error::from_errno(ENOENT, "x").code(), ErrorCode::kNotFound);
  EXPECT_EQ(Error::from_errno(EIO, "x").code(), ErrorCode::kIo);
  const Error error = Error::from_errno(EIO, "read 4096 bytes").with_context("capture /dev/sdb");
  EXPECT_EQ(error.text(), "capture /dev/sdb: read 4096 bytes: Input/output error");
  EXPECT_EQ(error.error_number(), EIO);
}

TEST(ResultDeathTest, TheValueOfAnErrorIsAFalseBelief) {
  EXPECT_DEATH(static_cast<void>(half(1).take()), "a belief of the program is false");
}

TEST(UniqueFd, ClosesOnceAndMoves) {
  UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  const int number = fd.get();
  UniqueFd moved(std::move(fd));
  // The state after the move is what is tested.
  EXPECT_FALSE(fd.valid());  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
  EXPECT_EQ(moved.get(), number);
  moved.reset();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST(Clock, WritesUtc) {
  EXPECT_EQ(UtcTime{0}.iso8601(), "1970-01-01T00:00:00Z");
  EXPECT_EQ(UtcTime{1'795'228'260'999'999'999ULL}.iso8601(), "2026-11-21T02:31:00Z");
  EXPECT_EQ(UtcTime{951'782'400'000'000'000ULL}.iso8601(), "2000-02-29T00:00:00Z");
  EXPECT_EQ(UtcTime::parse("2000-02-29T00:00:00Z").take().unix_ns, 951'782'400'000'000'000ULL);
  EXPECT_EQ(UtcTime::parse("2026-11-21").take().iso8601(), "2026-11-21T00:00:00Z");
  for (const char* text :
       {"", "2026", "2026-02-30", "2026-1-1", "2026-11-21T02:31:00", "2026-11-21T02:31:00Z ", "1969-12-31",
        "9999-01-01", "2026-11-21T24:00:00Z", "tomorrow"}) {
    EXPECT_FALSE(UtcTime::parse(text).ok()) << text;
  }
  const double before = monotonic_seconds();
  EXPECT_GE(monotonic_seconds(), before);
}

TEST(Prng, RepeatsWithItsSeed) {
  // These are the first outputs of SplitMix64 for seed 1234567, as its authors publish them.
  Prng known(1234567);
  for (const std::uint64_t expected :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL}) {
    EXPECT_EQ(known.next(), expected);
  }
  ByteVector a(1003);
  ByteVector b(1003);
  Prng(5).fill(a);
  Prng(5).fill(b);
  EXPECT_EQ(a, b);
  Prng(6).fill(b);
  EXPECT_NE(a, b);
}

TEST(Random, DoesNotRepeat) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_u64());
  EXPECT_EQ(seen.size(), 1000U);
  std::array<std::byte, 64> bytes{};
  fill_random(bytes);
  EXPECT_FALSE(is_zero(bytes));
}

}  // namespace
}  // namespace ashlar
