// Tests of manifest nodes in meta packs: read as they were put, written once, published after their data.
#include "store/meta_store.h"

#include <gtest/gtest.h>

#include "support/remote_objects.h"
#include "support/store_rig.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

class MetaPacks : public testing::Test {
 protected:
  // Writes leaves as one session does and returns the writer, finished.
  std::unique_ptr<MetaWriter> write(const std::vector<std::uint64_t>& leaves) {
    leaned_ = std::make_unique<LeanedPacks>(store_.objects(), StoreRig::session());
    auto writer = std::make_unique<MetaWriter>(store_.objects(), store_.index(), StoreRig::id(), *leaned_,
                                               [] { return Status(); });
    for (const std::uint64_t number : leaves)
      expect_ok(writer->put(id_of(number), encode(synthetic_leaf(number))));
    expect_ok(writer->finish());
    return writer;
  }
  static NodeId id_of(std::uint64_t leaf) { return node_id(encode(synthetic_leaf(leaf))); }
  PackId pack_of(std::uint64_t leaf) { return expect_ok(store_.index().find_node(id_of(leaf)))->pack; }
  // Returns the packs that the last writer leans on.
  std::set<PackId> leaned_on() const { return leaned_->packs(PackKind::kMeta); }
  std::size_t packs() { return expect_ok(list_packs(store_.objects(), PackKind::kMeta)).size(); }

  StoreRig store_;
  std::unique_ptr<LeanedPacks> leaned_;
};

TEST_F(MetaPacks, NodesReadAsTheyWerePut) {
  const auto writer = write({1, 2, 3});
  EXPECT_EQ(writer->nodes_written(), 3U);
  InnerNode inner;
  for (std::uint64_t i = 1; i <= 3; ++i)
    inner.children.push_back({ChildKind::kNode, id_of(i), synthetic_leaf(i).digest});
  const ByteVector encoding = encode(inner);
  MetaWriter second(store_.objects(), store_.index(), StoreRig::id(), store_.leaned(),
                    [] { return Status(); });
  expect_ok(second.put(node_id(encoding), encoding));
  expect_ok(second.finish());
  EXPECT_EQ(second.bytes_written(), encoding.size());
  MetaStore nodes(store_.objects(), store_.index());
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(*expect_ok(nodes.leaf(id_of(i))), synthetic_leaf(i));
  EXPECT_EQ(*expect_ok(nodes.inner(node_id(encoding))), inner);
}

TEST_F(MetaPacks, ANodeIsWrittenOnceInASessionAndOnceInAStore) {
  EXPECT_EQ(write({1, 2, 1, 1})->nodes_written(), 2U);
  const auto second = write({2, 1, 3});
  EXPECT_EQ(second->nodes_written(), 1U);
  EXPECT_EQ(leaned_on(), std::set<PackId>{pack_of(1)});
  const auto third = write({1, 2, 3});
  EXPECT_EQ(third->nodes_written(), 0U);
  EXPECT_EQ(packs(), 2U) << "no pack without a node";
}

TEST_F(MetaPacks, ANodeOfADamagedPackIsWrittenAnew) {
  write({1});
  const PackId damaged = pack_of(1);
  store_.flip_byte(pack_key(PackKind::kMeta, damaged), 1);
  const auto again = write({1});
  EXPECT_EQ(again->nodes_written(), 1U);
  EXPECT_TRUE(leaned_on().empty());
}

TEST_F(MetaPacks, ANodeThatHasRottedIsWrittenAnewAndReadFromThere) {
  write({1, 2});
  const NodePlace rotted = *expect_ok(store_.index().find_node(id_of(1)));
  store_.flip_byte(pack_key(PackKind::kMeta, rotted.pack), rotted.entry.offset + 9);
  const auto again = write({1, 2});
  EXPECT_EQ(again->nodes_written(), 1U);
  EXPECT_EQ(leaned_on(), std::set<PackId>{rotted.pack}) << "for the other node";
  EXPECT_EQ(expect_ok(store_.index().node_places(id_of(1))).size(), 2U);
  MetaStore nodes(store_.objects(), store_.index());
  for (std::uint64_t i = 1; i <= 2; ++i) EXPECT_EQ(*expect_ok(nodes.leaf(id_of(i))), synthetic_leaf(i));
  EXPECT_EQ(write({1, 2})->nodes_written(), 0U) << "the sound one counts";
}

TEST_F(MetaPacks, ANodeIsReadOnceInASessionBeforeItIsReliedOn) {
  write({1, 2, 3});
  RemoteObjects remote(store_.objects());
  MetaWriter writer(remote, store_.index(), StoreRig::id(), store_.leaned(), [] { return Status(); });
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 1; i <= 3; ++i) expect_ok(writer.put(id_of(i), encode(synthetic_leaf(i))));
  }
  EXPECT_EQ(remote.reads, 2U + 3U) << "the ends of the pack, and each node";
}

// A node in two packs. An error that is not damage decides only when the other pack has lost the node.
TEST_F(MetaPacks, ANodeIsReadFromTheNextPack) {
  write({1});
  const NodePlace place = *expect_ok(store_.index().find_node(id_of(1)));
  const auto flip_in = [&](const PackId& pack) {
    store_.flip_byte(pack_key(PackKind::kMeta, pack), place.entry.offset + 9);
  };
  flip_in(place.pack);
  write({1});
  flip_in(place.pack);  // right again
  const auto places = expect_ok(store_.index().node_places(id_of(1)));
  ASSERT_EQ(places.size(), 2U);
  const std::string first = pack_key(PackKind::kMeta, places[0].pack);
  const auto read = [&](ObjectStore& objects) { return MetaStore(objects, store_.index()).leaf(id_of(1)); };
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kNotFound, ErrorCode::kCorrupt}) {
    UnreadableFolder away(store_.objects(), first, code);
    ASSERT_FINE(read(away));
  }
  flip_in(places[1].pack);
  ASSERT_FINE(read(store_.objects()));
  UnreadableFolder away(store_.objects(), first, ErrorCode::kIo);
  EXPECT_EQ(read(away).error().code(), ErrorCode::kIo);
  flip_in(places[0].pack);
  EXPECT_EQ(read(store_.objects()).error().code(), ErrorCode::kCorrupt);
}

TEST_F(MetaPacks, ANodeThatAnotherProcessPublishedIsFound) {
  const auto mine = expect_ok(Index::open_in_memory(store_.objects()));
  MetaStore nodes(store_.objects(), *mine);
  write({1});
  EXPECT_EQ(*expect_ok(nodes.leaf(id_of(1))), synthetic_leaf(1));
}

TEST_F(MetaPacks, ANodeOfAPackThatIsGoneIsWrittenAnew) {
  write({1});
  expect_ok(store_.objects().remove(pack_key(PackKind::kMeta, pack_of(1))));
  EXPECT_EQ(write({1})->nodes_written(), 1U);
}

TEST_F(MetaPacks, ANodeOfATruncatedPackIsWrittenAnew) {
  write({1});
  const std::string key = pack_key(PackKind::kMeta, pack_of(1));
  const ByteVector good = store_.bytes_of(key);
  for (const std::size_t size : {std::size_t{0}, kPackHeaderBytes, good.size() - 1}) {
    store_.overwrite(key, ByteSpan(good).first(size));
    MetaWriter writer(store_.objects(), store_.index(), StoreRig::id(), store_.leaned(),
                      [] { return Status(); });
    expect_ok(writer.put(id_of(1), encode(synthetic_leaf(1))));
    EXPECT_EQ(writer.nodes_written(), 1U) << size;
  }
}

TEST_F(MetaPacks, ARottenNodeIsWrittenAnewAndItsNeighboursAreNot) {
  write({1, 2});
  const NodePlace place = *expect_ok(store_.index().find_node(id_of(2)));
  store_.flip_byte(pack_key(PackKind::kMeta, place.pack), place.entry.offset + 9);
  EXPECT_EQ(write({1, 2})->nodes_written(), 1U);
}

TEST_F(MetaPacks, AWriterTellsWhichNodesAreInWholePacks) {
  write({1});
  const std::string key = pack_key(PackKind::kMeta, pack_of(1));
  const ByteVector good = store_.bytes_of(key);
  const auto is_held = [&](std::uint64_t leaf) {
    LeanedPacks leaned(store_.objects(), StoreRig::session());
    MetaWriter writer(store_.objects(), store_.index(), StoreRig::id(), leaned, [] { return Status(); });
    const bool held = expect_ok(writer.is_in_whole_pack(id_of(leaf)));
    EXPECT_EQ(leaned.packs(PackKind::kMeta).size(), held ? 1U : 0U);
    return held;
  };
  EXPECT_TRUE(is_held(1));
  EXPECT_FALSE(is_held(2));
  store_.overwrite(key, ByteSpan(good).first(good.size() - 1));
  EXPECT_FALSE(is_held(1)) << "truncated";
  expect_ok(store_.objects().remove(key));
  EXPECT_FALSE(is_held(1)) << "gone";
}

TEST_F(MetaPacks, APackThatCantBeReadIsAnErrorNotAReasonToWriteAnew) {
  write({1});
  RemoteObjects remote(store_.objects());
  remote.fault = Fault::kError;
  MetaWriter writer(remote, store_.index(), StoreRig::id(), store_.leaned(), [] { return Status(); });
  const Status put = writer.put(id_of(1), encode(synthetic_leaf(1)));
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().code(), ErrorCode::kIo);
  EXPECT_EQ(writer.is_in_whole_pack(id_of(1)).error().code(), ErrorCode::kIo);
}

TEST_F(MetaPacks, DataIsPublishedBeforeTheNodesThatNameIt) {
  int asked = 0;
  bool data_fails = true;
  MetaWriter writer(store_.objects(), store_.index(), StoreRig::id(), store_.leaned(), [&]() -> Status {
    ++asked;
    EXPECT_EQ(packs(), 0U) << "no meta pack is there yet";
    if (data_fails) return Error(ErrorCode::kExhausted, "no room for the data");
    return {};
  });
  expect_ok(writer.put(id_of(1), encode(synthetic_leaf(1))));
  EXPECT_EQ(asked, 0);
  const Status finished = writer.finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().text(), "no room for the data");
  EXPECT_EQ(packs(), 0U);
  EXPECT_FALSE(expect_ok(store_.index().find_node(id_of(1))));
  data_fails = false;
  expect_ok(writer.finish());
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(packs(), 1U);
}

TEST_F(MetaPacks, ANodeIsReadOnceAndThenCached) {
  write({1});
  RemoteObjects remote(store_.objects());
  MetaStore nodes(remote, store_.index());
  expect_ok(nodes.leaf(id_of(1)));
  expect_ok(nodes.leaf(id_of(1)));
  EXPECT_EQ(remote.reads, 1U);
}

TEST_F(MetaPacks, ADamagedNodeIsAnErrorThatNamesItAndItsPack) {
  write({1, 2});
  const NodePlace place = *expect_ok(store_.index().find_node(id_of(2)));
  store_.flip_byte(pack_key(PackKind::kMeta, place.pack), place.entry.offset + 9);
  MetaStore nodes(store_.objects(), store_.index());
  expect_ok(nodes.leaf(id_of(1)));
  const auto damaged = nodes.leaf(id_of(2));
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  for (const std::string& name : {id_of(2).hex(), place.pack.hex()})
    EXPECT_NE(damaged.error().text().find(name), std::string::npos) << damaged.error().text();
}

TEST_F(MetaPacks, ANodeThatIsNowhereAndOneOfAnotherKindAreErrors) {
  write({1});
  MetaStore nodes(store_.objects(), store_.index());
  EXPECT_EQ(nodes.leaf(id_of(5)).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(nodes.inner(id_of(1)).error().code(), ErrorCode::kCorrupt);
}

TEST_F(MetaPacks, ANodeFromElsewhereIsKnownByTheIdOfItsBytes) {
  MetaStore nodes(store_.objects(), store_.index());
  expect_ok(nodes.remember_leaf(encode(synthetic_leaf(8))));
  EXPECT_EQ(*expect_ok(nodes.leaf(id_of(8))), synthetic_leaf(8));
  EXPECT_FALSE(nodes.remember_inner(encode(synthetic_leaf(8))).ok());
  EXPECT_FALSE(nodes.remember_leaf(as_byte_span("no leaf")).ok());
}

}  // namespace
}  // namespace ashlar
