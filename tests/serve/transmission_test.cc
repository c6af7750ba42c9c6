// Tests of the transmission phase, byte by byte.
#include <gtest/gtest.h>

#include "base/random.h"
#include "support/nbd_peer.h"

namespace ashlar {
namespace {

using nbd::Command;
using nbd::Errno;

constexpr std::uint32_t kLengths[] = {0, 1, 255, 256, 4096, 0x7fffffff, 0xffffffff};
constexpr std::uint64_t kDiskBytes = std::uint64_t{1} << 33U;  // 8 GiB, sparse: every length fits somewhere

std::uint32_t number(Errno error) { return static_cast<std::uint32_t>(error); }
std::uint16_t number(nbd::Chunk chunk) { return static_cast<std::uint16_t>(chunk); }

class TransmissionTest : public testing::Test {
 protected:
  TransmissionTest() { exports_.add("", disk_); }
  std::unique_ptr<NbdPeer> peer(bool structured = true, NbdLimits limits = {}) {
    auto peer = std::make_unique<NbdPeer>(exports_, limits);
    peer->enter(structured);
    return peer;
  }
  static ByteVector with_payload(ByteVector request, const ByteVector& payload) {
    request.insert(request.end(), payload.begin(), payload.end());
    return request;
  }
  static ByteVector bytes(std::size_t size) {
    ByteVector all(size);
    Prng(size).fill(all);
    return all;
  }
  // Sends `request` and returns the error of its only reply.
  static std::uint32_t error_of(NbdPeer& peer, const ByteVector& request) {
    peer.feed(request);
    peer.finish();
    const auto replies = peer.replies();
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? 0xffff : replies[0].error;
  }

  std::shared_ptr<MemoryExport> disk_ = std::make_shared<MemoryExport>(kDiskBytes);
  MemoryExports exports_;
};

TEST_F(TransmissionTest, AReadIsOneChunkOfDataOrAHole) {
  auto p = peer();
  const ByteVector payload = bytes(5000);
  EXPECT_EQ(error_of(*p, with_payload(nbd_request(Command::kWrite, 1, 100, 5000), payload)), 0U);
  for (const std::uint16_t flags : {std::uint16_t{0}, nbd::kDontFragment}) {
    p->feed(nbd_request(Command::kRead, 2, 100, 5000, flags));
    const auto data = p->replies();
    ASSERT_EQ(data.size(), 1U);
    EXPECT_TRUE(data[0].chunk && data[0].done);
    EXPECT_EQ(data[0].type, number(nbd::Chunk::kData));
    EXPECT_EQ(load_big_endian<std::uint64_t>(data[0].data), 100U);
    EXPECT_TRUE(bytes_equal(ByteSpan(data[0].data).subspan(8), payload));
  }
  p->feed(nbd_request(Command::kRead, 3, 1 << 20U, 70'000));
  const auto hole = p->replies();
  ASSERT_EQ(hole.size(), 1U);
  EXPECT_EQ(hole[0].type, number(nbd::Chunk::kHole));
  EXPECT_EQ(load_big_endian<std::uint32_t>(ByteSpan(hole[0].data).subspan(8)), 70'000U);
  p->feed(nbd_request(Command::kRead, 4, 0, 0));
  const auto none = p->replies();
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0].type, number(nbd::Chunk::kNone));
}

TEST_F(TransmissionTest, WithoutStructuredRepliesBytesFollowTheSimpleOne) {
  auto p = peer(false);
  const ByteVector payload = bytes(300);
  EXPECT_EQ(error_of(*p, with_payload(nbd_request(Command::kWrite, 1, 0, 300), payload)), 0U);
  p->feed(nbd_request(Command::kRead, 2, 0, 300));
  const auto replies = p->replies([](std::uint64_t) { return std::size_t{300}; });
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].chunk);
  EXPECT_EQ(replies[0].data, payload);
  EXPECT_EQ(error_of(*p, nbd_request(Command::kRead, 3, kDiskBytes, 1)), number(Errno::kInvalid));
  EXPECT_EQ(error_of(*p, nbd_request(Command::kRead, 4, 0, 1, nbd::kDontFragment)), number(Errno::kInvalid));
  EXPECT_EQ(error_of(*p, nbd_request(Command::kBlockStatus, 5, 0, 4096)), number(Errno::kInvalid));
}

// Sends every command with every length at every offset: each gets the right error, once, and the stream
// stays in step.
TEST_F(TransmissionTest, EveryCommandWithEveryLength) {
  const std::uint64_t offsets[] = {0, 1, kDiskBytes - 4096, kDiskBytes, kDiskBytes + 1, UINT64_MAX};
  for (std::uint16_t command = 0; command <= 10; ++command) {
    if (Command{command} == Command::kDisconnect) continue;
    for (const std::uint32_t length : kLengths) {
      for (const std::uint64_t offset : offsets) {
        SCOPED_TRACE(testing::Message() << "command " << command << " length " << length << " at " << offset);
        auto p = peer();
        const bool writes = Command{command} == Command::kWrite;
        const bool zeroes = Command{command} == Command::kTrim || Command{command} == Command::kWriteZeroes;
        if (zeroes && length > 4096 && offset < 2) continue;  // slow: MemoryExport does it block by block
        const ByteVector payload(writes ? std::min(length, 4096U) : 0);
        p->feed(with_payload(nbd_request(Command{command}, 9, offset, length), payload));
        if (writes && length > nbd::kMaxPayloadBytes) {
          EXPECT_TRUE(p->session().finished());
          EXPECT_EQ(p->received_bytes(), 0U);
          continue;
        }
        const bool fits = offset <= kDiskBytes && length <= kDiskBytes - offset;
        const bool carries = Command{command} == Command::kRead || Command{command} == Command::kCache;
        std::uint32_t expected = fits ? 0 : number(writes || zeroes ? Errno::kNoSpace : Errno::kInvalid);
        if (carries && length > nbd::kMaxPayloadBytes) expected = number(Errno::kInvalid);
        if (Command{command} == Command::kBlockStatus && length == 0) expected = number(Errno::kInvalid);
        if (Command{command} == Command::kFlush) expected = 0;
        if (command > 7) expected = number(Errno::kInvalid);
        const auto replies = p->replies();
        ASSERT_FALSE(replies.empty());
        EXPECT_EQ(replies[0].error, expected);
        EXPECT_EQ(replies[0].cookie, 9U);
        EXPECT_EQ(error_of(*p, nbd_request(Command::kFlush, 10, 0, 0)), 0U) << "still in step";
      }
    }
  }
}

TEST_F(TransmissionTest, FlagsThatACommandDoesNotHaveAreRefused) {
  const std::uint16_t fua = nbd::kFua;
  const std::uint16_t allowed[] = {static_cast<std::uint16_t>(fua | nbd::kDontFragment),
                                   fua,
                                   0,
                                   fua,
                                   fua,
                                   fua,
                                   static_cast<std::uint16_t>(fua | nbd::kNoHole | nbd::kFastZero),
                                   static_cast<std::uint16_t>(fua | nbd::kRequestOne)};
  for (std::uint16_t command = 0; command < 8; ++command) {
    if (Command{command} == Command::kDisconnect) continue;
    for (unsigned bit = 0; bit < 16; ++bit) {
      auto p = peer();
      const auto flags = static_cast<std::uint16_t>(1U << bit);
      const ByteVector payload(Command{command} == Command::kWrite ? 4096 : 0);
      p->feed(with_payload(nbd_request(Command{command}, 1, 0, 4096, flags), payload));
      const auto replies = p->replies();
      ASSERT_FALSE(replies.empty());
      EXPECT_EQ(replies[0].error, (flags & allowed[command]) != 0 ? 0 : number(Errno::kInvalid))
          << "command " << command << " bit " << bit;
    }
  }
}

TEST_F(TransmissionTest, AWrongMagicEndsItAfterWhatWasAsked) {
  disk_->hold(0, 4096);
  auto p = peer();
  p->feed(nbd_request(Command::kRead, 1, 0, 4096));
  p->feed(ByteVector(28));
  EXPECT_FALSE(p->session().finished()) << "a read is still in the export";
  EXPECT_FALSE(p->feed(nbd_request(Command::kRead, 2, 8192, 4096))) << "nothing more is taken";
  disk_->release();
  p->finish();
  EXPECT_EQ(p->replies().size(), 1U);
  EXPECT_TRUE(p->session().finished());
}

TEST_F(TransmissionTest, DisconnectWaitsForTheAnswers) {
  disk_->hold(0, 4096);
  auto p = peer();
  p->feed(with_payload(nbd_request(Command::kWrite, 1, 0, 4096), bytes(4096)));
  p->feed(nbd_request(Command::kDisconnect, 2, 0, 0));
  EXPECT_FALSE(p->session().finished());
  disk_->release();
  p->finish();
  const auto replies = p->replies();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].cookie, 1U);
  EXPECT_TRUE(p->session().finished());
}

TEST_F(TransmissionTest, RepliesComeInTheOrderOfCompletion) {
  disk_->hold(0, 1 << 20U);
  auto p = peer();
  for (std::uint64_t i = 0; i < 20; ++i) p->feed(nbd_request(Command::kRead, i, i * 4096, 4096));
  p->feed(nbd_request(Command::kRead, 99, 1 << 20U, 4096));
  const auto first = p->replies();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].cookie, 99U);
  disk_->release();
  p->finish();
  EXPECT_EQ(p->replies().size(), 20U);
}

TEST_F(TransmissionTest, AStatusThatWaitsHoldsNothingUp) {
  disk_->hold(0, 4096);
  auto p = peer();
  p->feed(nbd_request(Command::kBlockStatus, 1, 0, 8192));
  p->feed(nbd_request(Command::kRead, 2, 8192, 4096));
  const auto first = p->replies();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].cookie, 2U);
  disk_->release();
  p->finish();
  const auto second = p->replies();
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(second[0].cookie, 1U);
  EXPECT_EQ(second[0].type, number(nbd::Chunk::kBlockStatus));
}

TEST_F(TransmissionTest, BytesAreNotTakenAboveTheOutstandingLimit) {
  NbdLimits limits;
  limits.outstanding_bytes = 1 << 20U;
  disk_->hold(0, kDiskBytes);
  auto p = peer(true, limits);
  std::size_t taken = 0;
  while (p->session().in_flight() == taken) {
    p->feed(nbd_request(Command::kRead, taken, 0, 64U << 10U));
    ++taken;
    ASSERT_LT(taken, 100U);
    if (p->session().outstanding_bytes() >= limits.outstanding_bytes) break;
  }
  EXPECT_EQ(taken, 16U);
  // Requests that lie in the input window already wait there; after that the session takes no more bytes.
  std::size_t more = 0;
  while (p->feed(nbd_request(Command::kRead, taken + more, 0, 64U << 10U))) ASSERT_LT(++more, 10'000U);
  EXPECT_EQ(p->session().in_flight(), 16U);
  EXPECT_LE(p->session().outstanding_bytes(), limits.outstanding_bytes + (64U << 10U));
  disk_->release();
  p->finish();
  EXPECT_EQ(p->replies().size(), taken + more);
}

TEST_F(TransmissionTest, RepliesThatAreNotTakenCountAsOutstanding) {
  NbdLimits limits;
  limits.outstanding_bytes = 1 << 20U;
  limits.outstanding_requests = 64;
  auto p = peer(true, limits);
  p->stop_taking_output();
  std::uint64_t fed = 0;
  while (p->feed(nbd_request(Command::kBlockStatus, fed, 0, 1 << 20U))) ASSERT_LT(++fed, 10'000U);
  EXPECT_LE(p->session().outstanding_bytes(), 2U << 20U);
  p->take_output_again();
  p->finish();
  EXPECT_EQ(p->replies().size(), 2 * fed) << "a chunk for each of two contexts";
}

TEST_F(TransmissionTest, FuaIsTheOperationAndThenAFlush) {
  auto p = peer();
  const std::uint16_t fua = nbd::kFua;
  EXPECT_EQ(error_of(*p, with_payload(nbd_request(Command::kWrite, 1, 0, 10, fua), bytes(10))), 0U);
  EXPECT_EQ(disk_->flushes(), 1U);
  EXPECT_EQ(error_of(*p, nbd_request(Command::kTrim, 1, 0, 4096, fua)), 0U);
  EXPECT_EQ(error_of(*p, nbd_request(Command::kWriteZeroes, 1, 0, 4096, fua)), 0U);
  EXPECT_EQ(disk_->flushes(), 3U);
  EXPECT_EQ(error_of(*p, nbd_request(Command::kWriteZeroes, 1, 0, 4096)), 0U);
  EXPECT_EQ(disk_->flushes(), 3U);
}

TEST_F(TransmissionTest, AFailedPrefetchIsNobodysLoss) {
  disk_->fail(0, 4096, ErrorCode::kIo);
  auto p = peer();
  EXPECT_EQ(error_of(*p, nbd_request(Command::kCache, 1, 0, 4096)), 0U);
  EXPECT_EQ(error_of(*p, nbd_request(Command::kBlockStatus, 1, 0, 4096)), number(Errno::kIo));
}

// A connection that begins between the question and the ticket would not wait for the change, and the change
// could undo what that connection writes.
TEST_F(TransmissionTest, AChangeHasItsTicketBeforeItAsksWhetherItComesTooLate) {
  std::optional<bool> had_ticket;
  NbdPeer old(exports_, {}, false, [&] {
    had_ticket = disk_->changes().last().has_value();
    return true;
  });
  old.enter(true);
  auto newer = peer();
  const ByteVector payload = bytes(4096);
  EXPECT_EQ(error_of(old, with_payload(nbd_request(Command::kWrite, 1, 0, 4096), payload)),
            number(Errno::kShutdown));
  EXPECT_EQ(had_ticket, true);
  EXPECT_FALSE(disk_->changes().last()) << "and gives it back";
  EXPECT_EQ(error_of(*newer, with_payload(nbd_request(Command::kWrite, 1, 0, 4096), payload)), 0U);
}

TEST_F(TransmissionTest, AClientThatIsGoneIsForgottenWhenItsRequestsAreBack) {
  disk_->hold(0, 1 << 20U);
  auto p = peer();
  for (std::uint64_t i = 0; i < 20; ++i)
    p->feed(with_payload(nbd_request(Command::kWrite, i, i * 4096, 4096, nbd::kFua), bytes(4096)));
  p->feed(nbd_request(Command::kWrite, 99, 0, 4096));  // the payload never comes
  p->session().drop_output();
  EXPECT_FALSE(p->session().finished());
  disk_->release();
  p->finish();
  EXPECT_TRUE(p->session().finished());
  EXPECT_EQ(p->received_bytes(), 0U);
  EXPECT_EQ(disk_->flushes(), 20U) << "what was taken is done to its end";
}

}  // namespace
}  // namespace ashlar
