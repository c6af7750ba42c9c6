// Tests of the pack check: each kind of damage is named by the pack, the segment, the frame and the blocks
// that it costs.
#include "scrub/pack_check.h"

#include <gtest/gtest.h>

#include "store/meta_store.h"
#include "support/remote_objects.h"
#include "support/store_rig.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

// An object store whose objects can't be read in one range.
class BadRange : public ForwardingObjects {
 public:
  BadRange(ObjectStore& objects, std::uint64_t offset, std::uint64_t bytes)
      : ForwardingObjects(objects), first_(offset), end_(offset + bytes) {}
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    return std::shared_ptr<ObjectReader>(
        std::make_shared<Reader>(*this, TRY(ForwardingObjects::open(key, mode))));
  }

 private:
  class Reader : public ObjectReader {
   public:
    Reader(const BadRange& bad, std::shared_ptr<ObjectReader> inner) : bad_(bad), inner_(std::move(inner)) {}
    std::uint64_t size() const override { return inner_->size(); }
    Status read_at(std::uint64_t offset, MutableByteSpan out) const override {
      if (offset < bad_.end_ && offset + out.size() > bad_.first_) return Error(ErrorCode::kIo, "bad sector");
      return inner_->read_at(offset, out);
    }

   private:
    const BadRange& bad_;
    std::shared_ptr<ObjectReader> inner_;
  };
  std::uint64_t first_;
  std::uint64_t end_;
};

// One data pack of two segments: 40 blocks in frames of 16, and 10 blocks.
class DataPack : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [first, count] : {std::pair{0U, 40U}, {1000U, 10U}}) {
      segments_.push_back(sealed_segment(seeds_from(first, count)));
    }
    pack_ = store_.publish(segments_);
    key_ = pack_key(PackKind::kData, pack_);
  }
  std::vector<PackFault> check(std::function<bool(const SegmentId&)> wanted = nullptr) {
    tally_ = {};
    done_ = 0;
    const DataPackCheck check{store_.objects(), pack_, std::move(wanted),
                              [this](std::uint64_t n) { done_ += n; }};
    return check_data_pack(check, tally_);
  }
  SegmentEntry entry(std::size_t segment) { return store_.place_of(segments_[segment].id).entry; }
  std::shared_ptr<const LocatedSegment> located(std::size_t segment) {
    return expect_ok(store_.segments().locate(segments_[segment].id));
  }

  StoreRig store_;
  std::vector<SealedSegment> segments_;
  PackId pack_;
  std::string key_;
  PackTally tally_;
  std::uint64_t done_ = 0;
};

TEST_F(DataPack, ASoundOneIsCountedWhole) {
  EXPECT_TRUE(check().empty());
  EXPECT_EQ(tally_.segments, 2U);
  EXPECT_EQ(tally_.blocks, 50U);
  EXPECT_EQ(tally_.bytes, done_);
  EXPECT_EQ(tally_.bytes,
            store_.bytes_of(key_).size() - kPackHeaderBytes - kPackTrailerBytes - 2 * kSegmentEntryBytes);
}

TEST_F(DataPack, AFlippedByteOfAFrameCostsTheBlocksOfTheFrame) {
  for (std::uint32_t frame = 0; frame < 3; ++frame) {
    SCOPED_TRACE(frame);
    const std::uint64_t at = located(0)->frame_offsets[frame] + 5;
    store_.flip_byte(key_, at);
    const auto faults = check();
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].object, key_);
    EXPECT_EQ(faults[0].segment, segments_[0].id);
    EXPECT_EQ(faults[0].frame, frame);
    EXPECT_EQ(faults[0].first, frame * 16);
    EXPECT_EQ(faults[0].count, frame == 2 ? 8U : 16U);
    EXPECT_FALSE(faults[0].node);
    EXPECT_FALSE(faults[0].is_unread);
    EXPECT_FALSE(faults[0].what.empty());
    store_.flip_byte(key_, at);
  }
}

TEST_F(DataPack, AFlippedByteOfADirectoryCostsItsSegment) {
  store_.flip_byte(key_, entry(1).directory_offset + 20);
  const auto faults = check();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].segment, segments_[1].id);
  EXPECT_FALSE(faults[0].frame);
  EXPECT_EQ(faults[0].first, 0U);
  EXPECT_EQ(faults[0].count, 10U);
  EXPECT_EQ(tally_.segments, 2U) << "the other segment was checked too";
}

TEST_F(DataPack, EachOfManyFaultsIsNamed) {
  store_.flip_byte(key_, located(0)->frame_offsets[0]);
  store_.flip_byte(key_, located(0)->frame_offsets[2]);
  store_.flip_byte(key_, entry(1).directory_offset);
  const auto faults = check();
  ASSERT_EQ(faults.size(), 3U);
  EXPECT_EQ(faults[0].frame, 0U);
  EXPECT_EQ(faults[1].frame, 2U);
  EXPECT_EQ(faults[2].segment, segments_[1].id);
}

TEST_F(DataPack, WithoutItsEndsTheWholePackIsAtFault) {
  const ByteVector good = store_.bytes_of(key_);
  const std::size_t footer = good.size() - kPackTrailerBytes - 2 * kSegmentEntryBytes;
  for (const std::size_t at :
       {std::size_t{0}, kPackHeaderBytes - 1, footer, footer + kSegmentEntryBytes, good.size() - 1}) {
    SCOPED_TRACE(at);
    store_.overwrite(key_, good);
    store_.flip_byte(key_, at);
    const auto faults = check();
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].object, key_);
    EXPECT_FALSE(faults[0].segment || faults[0].frame || faults[0].node);
  }
  store_.overwrite(key_, ByteSpan(good).first(good.size() - 1));
  EXPECT_EQ(check().size(), 1U) << "cut off";
  expect_ok(store_.objects().remove(key_));
  EXPECT_EQ(check().size(), 1U) << "gone";
}

// The entry of the second segment is cut out of the footer; its payload and its directory stay, or one of
// them.
TEST_F(DataPack, BytesThatNoEntryCoversAreAFault) {
  const ByteVector good = store_.bytes_of(key_);
  const SegmentEntry first = entry(0);
  const SegmentEntry second = entry(1);
  const std::uint64_t footer = second.directory_offset + second.directory_bytes;
  for (const bool keep_payload : {true, false}) {
    for (const bool keep_directory : {true, false}) {
      SCOPED_TRACE(keep_payload * 2 + keep_directory);
      SegmentEntry kept = first;
      ByteVector bytes = good;
      bytes.resize(keep_directory ? footer : second.directory_offset);
      if (!keep_payload) {
        const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(second.payload_offset);
        bytes.erase(at, at + second.payload_bytes);
        kept.directory_offset -= second.payload_bytes;
      }
      const ByteVector end = encode_footer(std::span(&kept, 1), kept.directory_offset, bytes.size());
      bytes.insert(bytes.end(), end.begin(), end.end());
      store_.overwrite(key_, bytes);
      const auto faults = check();
      ASSERT_EQ(faults.size(), keep_payload || keep_directory ? 1U : 0U);
      EXPECT_TRUE(check([](const SegmentId&) { return true; }).empty())
          << "a look for single segments does not ask";
      if (faults.empty()) continue;
      EXPECT_FALSE(faults[0].segment);
      EXPECT_NE(faults[0].what.find("no entry"), std::string::npos) << faults[0].what;
    }
  }
}

// Header, trailer, directories and footer at once, and then the payloads.
TEST_F(DataPack, TheTailIsReadAtOnce) {
  RemoteObjects remote(store_.objects());
  const DataPackCheck check{remote, pack_, nullptr, [](std::uint64_t) {}};
  EXPECT_TRUE(check_data_pack(check, tally_).empty());
  EXPECT_EQ(remote.reads, 3U + segments_.size());
}

// Two segments with a bad sector under the directory of the second.
TEST_F(DataPack, ADirectoryThatCantBeReadCostsItsSegmentOnly) {
  BadRange bad(store_.objects(), entry(1).directory_offset, entry(1).directory_bytes);
  const DataPackCheck check{bad, pack_, nullptr, [](std::uint64_t) {}};
  const auto faults = check_data_pack(check, tally_);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].segment, segments_[1].id);
  EXPECT_TRUE(faults[0].is_unread);
  EXPECT_EQ(tally_.segments, 2U);
}

TEST_F(DataPack, OnlyTheWantedSegmentsAreRead) {
  store_.flip_byte(key_, located(0)->frame_offsets[0]);
  EXPECT_TRUE(check([&](const SegmentId& id) { return id == segments_[1].id; }).empty());
  EXPECT_EQ(tally_.segments, 1U);
  EXPECT_EQ(check([&](const SegmentId& id) { return id == segments_[0].id; }).size(), 1U);
}

TEST_F(DataPack, AReadThatFailsIsAFaultOfThePack) {
  RemoteObjects remote(store_.objects());
  remote.fault = Fault::kError;
  const DataPackCheck check{remote, pack_, nullptr, [](std::uint64_t) {}};
  const auto faults = check_data_pack(check, tally_);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_FALSE(faults[0].segment);
  EXPECT_TRUE(faults[0].is_unread);
  EXPECT_NE(faults[0].what.find("the store is away"), std::string::npos) << faults[0].what;
}

// Meta packs.

class NodePack : public testing::Test {
 protected:
  void SetUp() override {
    MetaWriter writer(store_.objects(), store_.index(), StoreRig::id(), store_.leaned(),
                      [] { return Status(); });
    for (const std::uint64_t number : {1U, 2U, 3U}) {
      const ByteVector encoding = encode(synthetic_leaf(number));
      expect_ok(writer.put(node_id(encoding), encoding));
    }
    if (!junk_.empty()) expect_ok(writer.put(node_id(junk_), junk_));
    expect_ok(writer.finish());
    pack_ = place(1).pack;
    key_ = pack_key(PackKind::kMeta, pack_);
  }
  static NodeId id_of(std::uint64_t number) { return node_id(encode(synthetic_leaf(number))); }
  NodePlace place(std::uint64_t number) { return *expect_ok(store_.index().find_node(id_of(number))); }
  std::vector<PackFault> check(std::function<bool(const NodeId&)> wanted = nullptr) {
    tally_ = {};
    const MetaPackCheck check{store_.objects(), pack_, std::move(wanted), [](std::uint64_t) {}};
    return check_meta_pack(check, tally_);
  }

  ByteVector junk_;
  StoreRig store_;
  PackId pack_;
  std::string key_;
  PackTally tally_;
};

TEST_F(NodePack, AFlippedByteOfANodeNamesTheNode) {
  EXPECT_TRUE(check().empty());
  EXPECT_EQ(tally_.nodes, 3U);
  store_.flip_byte(key_, place(2).entry.offset + 8);
  const auto faults = check();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].object, key_);
  EXPECT_EQ(faults[0].node, id_of(2));
  EXPECT_FALSE(faults[0].segment);
  EXPECT_EQ(tally_.nodes, 3U);
  EXPECT_TRUE(check([](const NodeId& id) { return id == id_of(3); }).empty());
  EXPECT_EQ(tally_.nodes, 1U);
}

TEST_F(NodePack, WithoutItsEndsTheWholePackIsAtFault) {
  const ByteVector good = store_.bytes_of(key_);
  for (const std::size_t at : {std::size_t{0}, good.size() - 1, good.size() - kPackTrailerBytes - 1}) {
    SCOPED_TRACE(at);
    store_.overwrite(key_, good);
    store_.flip_byte(key_, at);
    const auto faults = check();
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_FALSE(faults[0].node);
  }
}

// Header, trailer, footer, and all nodes at once.
TEST_F(NodePack, ItsNodesAreReadTogether) {
  RemoteObjects remote(store_.objects());
  const MetaPackCheck check{remote, pack_, nullptr, [](std::uint64_t) {}};
  EXPECT_TRUE(check_meta_pack(check, tally_).empty());
  EXPECT_EQ(remote.reads, 4U);
}

TEST_F(NodePack, ANodeThatCantBeReadIsTheOnlyOne) {
  BadRange bad(store_.objects(), place(2).entry.offset, place(2).entry.bytes);
  const MetaPackCheck check{bad, pack_, nullptr, [](std::uint64_t) {}};
  const auto faults = check_meta_pack(check, tally_);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].node, id_of(2));
  EXPECT_TRUE(faults[0].is_unread);
  EXPECT_EQ(tally_.nodes, 3U);
}

class NodePackWithJunk : public NodePack {
 protected:
  NodePackWithJunk() { junk_ = {std::byte{9}, std::byte{9}}; }
};

class NodePackOfANewerProgram : public NodePack {
 protected:
  NodePackOfANewerProgram() {
    junk_ = encode(synthetic_leaf(4));
    junk_[1] = std::byte{kNodeVersion + 1};
  }
};

TEST_F(NodePackWithJunk, BytesThatAreNoNodeAreAFaultEvenUnderTheirId) {
  const auto faults = check();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].what.find("does not decode"), std::string::npos) << faults[0].what;
  EXPECT_FALSE(faults[0].is_unread);
}

// Its id is the seal of a node: one that matches its id is whole.
TEST_F(NodePackOfANewerProgram, ANodeOfANewerVersionIsNotCalledDamaged) {
  const auto faults = check();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_TRUE(faults[0].is_unread) << faults[0].what;
}

}  // namespace
}  // namespace ashlar
