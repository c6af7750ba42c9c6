// Tests of the negotiation, byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/nbd_peer.h"

namespace ashlar {
namespace {

using nbd::Option;
using nbd::OptionReply;
using testing::ElementsAre;

constexpr std::uint32_t kLengths[] = {0, 1, 255, 256, 4096, 0x7fffffff, 0xffffffff};
constexpr std::uint64_t kDiskBytes = 1 << 20;

class HandshakeTest : public testing::Test {
 protected:
  HandshakeTest() {
    exports_.add("", std::make_shared<MemoryExport>(kDiskBytes));
    exports_.add("vol-1", std::make_shared<MemoryExport>(4096, true));
  }
  static std::vector<std::uint32_t> types(const std::vector<NbdOptionReply>& replies) {
    std::vector<std::uint32_t> all;
    for (const NbdOptionReply& reply : replies) all.push_back(reply.type);
    return all;
  }
  static std::uint32_t type(OptionReply reply) { return static_cast<std::uint32_t>(reply); }
  // Returns a peer that has the greeting and has sent its client flags.
  std::unique_ptr<NbdPeer> peer(std::uint32_t flags = nbd::kFixedNewstyle | nbd::kNoZeroes,
                                NbdLimits limits = {}) {
    auto peer = std::make_unique<NbdPeer>(exports_, limits);
    peer->feed(nbd_client_flags(flags));
    peer->take_received();
    return peer;
  }
  std::vector<std::uint32_t> answers(NbdPeer& peer, const ByteVector& option) {
    peer.feed(option);
    return types(peer.option_replies());
  }

  MemoryExports exports_;
};

TEST_F(HandshakeTest, TheGreetingComesFirst) {
  NbdPeer peer(exports_);
  peer.settle();
  ByteVector expected;
  BigEndianAppender(expected).text("NBDMAGICIHAVEOPT").u16(3);
  EXPECT_EQ(peer.take_received(), expected);
}

TEST_F(HandshakeTest, UnknownClientFlagsEndIt) {
  for (const std::uint32_t flags : {4U, 0x80000003U, 0xffffffffU}) {
    EXPECT_TRUE(peer(flags)->session().finished()) << flags;
  }
  for (const std::uint32_t flags : {0U, 1U, 3U}) EXPECT_FALSE(peer(flags)->session().finished()) << flags;
}

TEST_F(HandshakeTest, ExportNameGivesSizeFlagsAndPadding) {
  for (const std::uint32_t flags : {0U, 1U, 3U}) {
    auto p = peer(flags);
    p->feed(nbd_option(Option::kExportName));
    ASSERT_FALSE(p->session().handshaking());
    const ByteVector reply = p->take_received();
    ASSERT_EQ(reply.size(), flags == 3 ? 10U : 134U);
    EXPECT_EQ(load_big_endian<std::uint64_t>(reply), kDiskBytes);
    p->feed(nbd_request(nbd::Command::kFlush, 7, 0, 0));
    EXPECT_EQ(p->replies().size(), 1U);
  }
  auto lost = peer();
  lost->feed(nbd_option(Option::kExportName, as_byte_span("nobody")));
  EXPECT_TRUE(lost->session().finished());
}

TEST_F(HandshakeTest, AnOldClientMayOnlyNameItsExport) {
  auto p = peer(0);
  p->feed(nbd_option(Option::kList));
  EXPECT_TRUE(p->session().finished());
  EXPECT_TRUE(p->take_received().empty());
}

TEST_F(HandshakeTest, ListNamesEveryExport) {
  auto p = peer();
  p->feed(nbd_option(Option::kList));
  const auto replies = p->option_replies();
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[1].type, type(OptionReply::kServer));
  EXPECT_EQ(as_text(ByteSpan(replies[1].data).subspan(4)), "vol-1");
  EXPECT_EQ(replies[2].type, type(OptionReply::kAck));
  EXPECT_THAT(answers(*p, nbd_option(Option::kList, as_byte_span("x"))),
              ElementsAre(type(OptionReply::kInvalid)));
}

TEST_F(HandshakeTest, InfoTellsSizeFlagsAndBlockSizes) {
  auto p = peer();
  p->feed(nbd_option(Option::kInfo, nbd_info_data("vol-1", {1, 3, 99})));
  const auto replies = p->option_replies();
  ASSERT_EQ(replies.size(), 4U);
  BigEndianReader about(replies[0].data);
  EXPECT_EQ(about.u16(), 0U);
  EXPECT_EQ(about.u64(), 4096U);
  EXPECT_EQ(about.u16(), nbd::kHasFlags | nbd::kReadOnly | nbd::kSendFlush | nbd::kSendFua |
                             nbd::kCanMultiConn | nbd::kSendCache);
  BigEndianReader sizes(replies[1].data);
  EXPECT_EQ(sizes.u16(), 3U);
  EXPECT_EQ(sizes.u32(), 1U);
  EXPECT_EQ(sizes.u32(), 4096U);
  EXPECT_EQ(sizes.u32(), 32U << 20U);
  EXPECT_EQ(as_text(ByteSpan(replies[2].data).subspan(2)), "vol-1");
  EXPECT_EQ(replies[3].type, type(OptionReply::kAck));
  EXPECT_TRUE(p->session().handshaking());
}

TEST_F(HandshakeTest, StructuredRepliesBringTheirFlags) {
  auto p = peer();
  EXPECT_THAT(answers(*p, nbd_option(Option::kStructuredReply)), ElementsAre(type(OptionReply::kAck)));
  EXPECT_THAT(answers(*p, nbd_option(Option::kStructuredReply)), ElementsAre(type(OptionReply::kInvalid)));
  p->feed(nbd_option(Option::kInfo, nbd_info_data("")));
  const auto replies = p->option_replies();
  EXPECT_NE(load_big_endian<std::uint16_t>(ByteSpan(replies[0].data).subspan(10)) & nbd::kSendDf, 0U);
}

TEST_F(HandshakeTest, UnknownExportsAndOptionsAreRefusedAndItGoesOn) {
  auto p = peer();
  EXPECT_THAT(answers(*p, nbd_option(Option::kGo, nbd_info_data("nobody"))),
              ElementsAre(type(OptionReply::kUnknown)));
  for (const std::uint32_t option : {0U, 4U, 5U, 11U, 12U, 0x7fffffffU, 0xffffffffU}) {
    EXPECT_THAT(answers(*p, nbd_option(option, ByteVector(1000))),
                ElementsAre(type(OptionReply::kUnsupported)))
        << option;
  }
  p->feed(nbd_option(Option::kGo, nbd_info_data("")));
  EXPECT_FALSE(p->session().handshaking());
}

TEST_F(HandshakeTest, AbortIsAcknowledged) {
  auto p = peer();
  EXPECT_THAT(answers(*p, nbd_option(Option::kAbort)), ElementsAre(type(OptionReply::kAck)));
  EXPECT_TRUE(p->session().finished());
}

TEST_F(HandshakeTest, MetaContexts) {
  auto p = peer();
  const ByteVector both = nbd_meta_data("", {"base:allocation", "qemu:x", "ashlar:dirty", "base:allocation"});
  EXPECT_THAT(answers(*p, nbd_option(Option::kSetMetaContext, both)),
              ElementsAre(type(OptionReply::kInvalid)))
      << "structured replies come first";
  p->feed(nbd_option(Option::kStructuredReply));
  p->take_received();
  const std::uint32_t context = type(OptionReply::kMetaContext);
  const std::uint32_t ack = type(OptionReply::kAck);
  EXPECT_THAT(answers(*p, nbd_option(Option::kSetMetaContext, both)), ElementsAre(context, context, ack));
  EXPECT_THAT(answers(*p, nbd_option(Option::kListMetaContext, nbd_meta_data("", {}))),
              ElementsAre(context, context, ack));
  EXPECT_THAT(answers(*p, nbd_option(Option::kListMetaContext, nbd_meta_data("", {"ashlar:"}))),
              ElementsAre(context, ack));
  EXPECT_THAT(answers(*p, nbd_option(Option::kSetMetaContext, nbd_meta_data("", {"base:"}))),
              ElementsAre(ack))
      << "no wildcards when setting";
  EXPECT_THAT(answers(*p, nbd_option(Option::kSetMetaContext, nbd_meta_data("nobody", {}))),
              ElementsAre(type(OptionReply::kUnknown)));
}

TEST_F(HandshakeTest, ContextsOfAnotherExportAreNotTaken) {
  for (const bool same : {true, false}) {
    auto p = peer();
    p->feed(nbd_option(Option::kStructuredReply));
    p->feed(nbd_option(Option::kSetMetaContext, nbd_meta_data("vol-1", {"base:allocation"})));
    p->feed(nbd_option(Option::kGo, nbd_info_data(same ? "vol-1" : "")));
    p->take_received();
    p->feed(nbd_request(nbd::Command::kBlockStatus, 1, 0, 4096));
    const auto replies = p->replies();
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies[0].error, same ? 0U : 22U);
  }
}

// Sends every option with every length that it may claim, followed by that many bytes (at most 8192). The
// session stays usable in each case: it refuses the option, closes, or waits for more bytes.
TEST_F(HandshakeTest, EveryOptionWithEveryLength) {
  for (std::uint32_t option = 0; option <= 13; ++option) {
    for (const std::uint32_t length : kLengths) {
      for (const unsigned fill : {0x00U, 0xffU, 0x01U}) {
        SCOPED_TRACE(testing::Message() << "option " << option << " length " << length << " fill " << fill);
        auto p = peer();
        if (fill == 1) p->feed(nbd_option(Option::kStructuredReply));
        p->take_received();
        const ByteVector data(std::min<std::size_t>(length, 8192), std::byte(fill));
        p->feed(nbd_option(option, data, length));
        if (length > nbd::kMaxOptionBytes) {
          EXPECT_TRUE(p->session().finished());
          EXPECT_EQ(p->received_bytes(), 0U);
        } else if (p->session().handshaking() && !p->session().finished()) {
          EXPECT_FALSE(p->option_replies().empty());
          p->feed(nbd_option(Option::kAbort));
          EXPECT_TRUE(p->session().finished()) << "the stream is still in step";
        }
      }
    }
  }
}

// Sends wrong lengths inside the data of INFO, GO and the meta contexts.
TEST_F(HandshakeTest, EveryInnerLength) {
  for (const Option option :
       {Option::kInfo, Option::kGo, Option::kListMetaContext, Option::kSetMetaContext}) {
    for (const std::uint32_t name : kLengths) {
      for (const std::uint32_t count : kLengths) {
        for (const std::uint32_t query : kLengths) {
          auto p = peer();
          p->feed(nbd_option(Option::kStructuredReply));
          p->take_received();
          ByteVector data;
          BigEndianAppender out(data);
          out.u32(name).zeros(std::min(name, 5000U)).u32(count).u32(query).zeros(std::min(query, 5000U));
          p->feed(nbd_option(option, data));
          ASSERT_FALSE(p->option_replies().empty());
          ASSERT_TRUE(p->session().handshaking());
        }
      }
    }
  }
}

TEST_F(HandshakeTest, NamesEndAt4096Bytes) {
  const std::string longest(4096, 'n');
  exports_.add(longest, std::make_shared<MemoryExport>(4096));
  auto p = peer();
  EXPECT_THAT(answers(*p, nbd_option(Option::kInfo, nbd_info_data(longest + "n"))),
              ElementsAre(type(OptionReply::kInvalid)));
  p->feed(nbd_option(Option::kGo, nbd_info_data(longest)));
  EXPECT_FALSE(p->session().handshaking());
}

TEST_F(HandshakeTest, AnySplitOfTheBytesIsTheSame) {
  ByteVector bytes = nbd_client_flags();
  for (const ByteVector& part :
       {nbd_option(Option::kStructuredReply), nbd_option(77U, ByteVector(300)), nbd_option(Option::kList),
        nbd_option(Option::kSetMetaContext, nbd_meta_data("", {"base:allocation"})),
        nbd_option(Option::kGo, nbd_info_data("")), nbd_request(nbd::Command::kRead, 5, 0, 4096)}) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  NbdPeer whole(exports_);
  whole.feed(bytes);
  const ByteVector expected = whole.take_received();
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 16U, 27U, 29U, 400U}) {
    NbdPeer split(exports_);
    ASSERT_TRUE(split.feed(bytes, piece));
    EXPECT_EQ(split.take_received(), expected) << piece;
  }
}

TEST_F(HandshakeTest, BudgetsOfBytesAndOptions) {
  NbdLimits few;
  few.handshake_options = 10;
  auto p = peer(3, few);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(answers(*p, nbd_option(Option::kList)).size(), 3U);
  p->feed(nbd_option(Option::kList));
  EXPECT_TRUE(p->session().finished());

  NbdLimits small;
  small.handshake_bytes = 1000;
  auto q = peer(3, small);
  q->feed(nbd_option(77U, ByteVector(900)));
  EXPECT_FALSE(q->session().finished());
  q->feed(nbd_option(77U, ByteVector(100)));
  EXPECT_TRUE(q->session().finished());
}

TEST_F(HandshakeTest, AnswersThatAreNotTakenArePiledUpNoHigher) {
  for (int i = 0; i < 1000; ++i) exports_.add("vol-" + std::to_string(i), std::make_shared<MemoryExport>(1));
  auto p = peer();
  p->stop_taking_output();
  ByteVector lists;
  for (int i = 0; i < 1000; ++i) {
    const ByteVector one = nbd_option(Option::kList);
    lists.insert(lists.end(), one.begin(), one.end());
  }
  p->feed(lists);
  std::array<ByteSpan, 4> spans;
  ASSERT_EQ(p->session().output(spans), 1U);
  EXPECT_LT(spans[0].size(), 50'000U) << "one list";
  p->take_output_again();
  EXPECT_EQ(p->option_replies().size(), 1000U * 1002U);
}

TEST_F(HandshakeTest, AWrongMagicEndsIt) {
  auto p = peer();
  ByteVector bad = nbd_option(Option::kList);
  bad[0] ^= std::byte{1};
  p->feed(bad);
  EXPECT_TRUE(p->session().finished());
}

class TlsHandshakeTest : public HandshakeTest {
 protected:
  std::unique_ptr<NbdPeer> peer_with_tls() {
    auto p = std::make_unique<NbdPeer>(exports_, NbdLimits{}, true);
    p->settle();
    p->take_received();
    p->feed(nbd_client_flags());
    return p;
  }
  static std::uint32_t only_reply(NbdPeer& p) {
    const auto replies = p.option_replies();
    return replies.size() == 1 ? replies[0].type : 0;
  }
  static constexpr auto kTlsRequired = static_cast<std::uint32_t>(nbd::OptionReply::kTlsRequired);
  static constexpr auto kInvalid = static_cast<std::uint32_t>(nbd::OptionReply::kInvalid);
};

TEST_F(TlsHandshakeTest, WithoutTlsNothingIsAnsweredButThatItIsRequired) {
  auto p = peer_with_tls();
  for (std::uint32_t option = 2; option < 20; ++option) {
    if (option == 2 || option == 5) continue;  // ABORT and STARTTLS
    p->feed(nbd_option(option, nbd_info_data("")));
    EXPECT_EQ(only_reply(*p), kTlsRequired) << option;
  }
  p->feed(nbd_option(Option::kAbort));
  EXPECT_EQ(only_reply(*p), static_cast<std::uint32_t>(nbd::OptionReply::kAck));
  EXPECT_TRUE(p->session().finished());
  auto old = peer_with_tls();
  old->feed(nbd_option(Option::kExportName));
  EXPECT_TRUE(old->session().finished());
  EXPECT_EQ(old->received_bytes(), 0U);
}

TEST_F(TlsHandshakeTest, AfterStarttlsNothingIsTakenUntilTheConnectionIsSecure) {
  auto p = peer_with_tls();
  p->feed(nbd_option(Option::kStartTls, ByteVector(1)));
  EXPECT_EQ(only_reply(*p), kInvalid);
  p->stop_taking_output();
  p->feed(nbd_option(Option::kStartTls));
  EXPECT_FALSE(p->session().wants_tls()) << "its answer goes first";
  p->take_output_again();
  EXPECT_EQ(only_reply(*p), static_cast<std::uint32_t>(nbd::OptionReply::kAck));
  EXPECT_TRUE(p->session().wants_tls());
  EXPECT_FALSE(p->feed(nbd_option(Option::kList)));
  EXPECT_EQ(p->received_bytes(), 0U);
  p->session().secured();
  p->feed(nbd_option(Option::kStartTls));
  EXPECT_EQ(only_reply(*p), kInvalid);
  p->feed(nbd_option(Option::kGo, nbd_info_data("")));
  EXPECT_FALSE(p->session().handshaking());
}

TEST_F(TlsHandshakeTest, BytesInTheSameBreathAsStarttlsEndIt) {
  auto p = peer_with_tls();
  ByteVector both = nbd_option(Option::kStartTls);
  both.push_back(std::byte{0});
  p->feed(both);
  EXPECT_TRUE(p->session().finished());
  EXPECT_FALSE(p->session().wants_tls());
  EXPECT_EQ(p->received_bytes(), 0U);
}

}  // namespace
}  // namespace ashlar
