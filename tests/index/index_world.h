// World: a small store of real packs, and a plain model of what an index over it must answer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "index/index.h"
#include "index/index_directory.h"
#include "io/local_object_store.h"
#include "pack/pack_store.h"

namespace ashlar {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) ADD_FAILURE() << result.error().text();
  return result.take();
}
inline void must(Status status) {
  if (!status.ok()) ADD_FAILURE() << status.error().text();
}

class TempDir {
 public:
  TempDir() : path_(testing::TempDir() + "ashlar-index-" + random_id<StoreId>().hex()) {
    std::filesystem::create_directories(path_);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Returns how many packs the index in a directory has on the disk.
inline std::size_t packs_on_disk(const std::string& path) {
  const auto view = must(IndexDirectory(path, index_format(kDefaultHookRate)).view());
  return view.database == nullptr ? 0 : must(view.database->inventory()).size();
}

// The answers to everything that can be asked of an index.
struct Answers {
  std::map<BlockId, std::optional<SegmentId>> hooks;
  std::map<SegmentId, std::vector<SegmentPlace>> segments;
  std::map<NodeId, std::vector<NodePlace>> nodes;
  std::map<PackId, std::vector<SegmentEntry>> packs;
  friend bool operator==(const Answers&, const Answers&) = default;
};

struct WorldPack {
  PackKind kind = PackKind::kData;
  std::vector<PackedSegment> segments;
  std::vector<NodeEntry> nodes;
};

// A local object store below `root`, with the packs published in it.
class World {
 public:
  World(const std::string& root, std::uint64_t seed) : root_(root), prng_(seed) {
    std::filesystem::create_directories(root);
    objects_ = std::make_unique<LocalObjectStore>(posix_file_system(), root);
  }

  ObjectStore& objects() { return *objects_; }
  const std::map<PackId, WorldPack>& packs() const { return packs_; }
  Prng& prng() { return prng_; }

  // Publishes a data pack. Some of its segments are new, some repeat those of other packs, and some of their
  // blocks are blocks of other segments.
  PackId publish_data(std::size_t segment_count) {
    auto writer = must(DataPackWriter::create(*objects_, StoreId{}, random_id<SessionId>()));
    WorldPack pack;
    for (std::size_t s = 0; s < segment_count; ++s) {
      const std::vector<BlockId> blocks = some_segment();
      const SegmentDirectory directory{segment_id(blocks), frames_of(blocks.size()), blocks};
      const auto twin = [&](const PackedSegment& other) { return other.entry.id == directory.id; };
      if (std::ranges::any_of(pack.segments, twin)) continue;
      must(writer->append({directory, ByteVector(directory.payload_bytes())}));
      pack.segments.push_back({writer->entries().back(), blocks});
    }
    must(writer->finish());
    for (std::size_t s = 0; s < pack.segments.size(); ++s) pack.segments[s].entry = writer->entries()[s];
    packs_[writer->id()] = pack;
    return writer->id();
  }

  PackId publish_meta(std::size_t node_count) {
    auto writer = must(MetaPackWriter::create(*objects_, StoreId{}, random_id<SessionId>()));
    for (std::size_t n = 0; n < node_count; ++n) {
      const bool repeat = !nodes_.empty() && prng_.below(4) == 0;
      if (!repeat) nodes_.push_back(make_id<NodeId>());
      const NodeId id = repeat ? nodes_[prng_.below(nodes_.size())] : nodes_.back();
      const auto twin = [&](const NodeEntry& other) { return other.id == id; };
      if (std::ranges::none_of(writer->entries(), twin)) must(writer->append(id, ByteVector(100)));
    }
    must(writer->finish());
    packs_[writer->id()] = {PackKind::kMeta, {}, writer->entries()};
    return writer->id();
  }

  void publish_some(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) prng_.below(3) == 0 ? publish_meta(5) : publish_data(4);
  }

  PackId any_pack() {
    return std::next(packs_.begin(), static_cast<std::ptrdiff_t>(prng_.below(packs_.size())))->first;
  }

  std::string path_of(const PackId& pack) const { return root_ + "/" + pack_key(packs_.at(pack).kind, pack); }

  void remove(const PackId& pack) {
    must(objects_->remove(pack_key(packs_.at(pack).kind, pack)));
    packs_.erase(pack);
    ever_.push_back(pack);
  }

  // Learns of all packs in the store, as another process finds them.
  void attach() {
    for (const PackKind kind : {PackKind::kData, PackKind::kMeta}) {
      for (const ListedPack& listed : must(list_packs(*objects_, kind))) learn(kind, listed.id);
    }
  }

  // Tells the index of a pack, as the store does once it has published it.
  void tell(Index& index, const PackId& pack) const {
    const WorldPack& p = packs_.at(pack);
    must(p.kind == PackKind::kData ? index.add_data_pack(pack, p.segments)
                                   : index.add_meta_pack(pack, p.nodes));
  }

  // Returns the right answers, found by plain search over all packs.
  Answers expected() const {
    Answers answers;
    for (const BlockId& block : blocks_) answers.hooks[block] = std::nullopt;
    for (const auto& blocks : segments_) answers.segments[segment_id(blocks)] = {};
    for (const NodeId& node : nodes_) answers.nodes[node] = {};
    for (const PackId& pack : ever_) answers.packs[pack] = {};
    for (const auto& [id, pack] : packs_) {
      answers.packs[id] = {};
      for (const PackedSegment& segment : pack.segments) {
        answers.packs[id].push_back(segment.entry);
        answers.segments[segment.entry.id].push_back({id, segment.entry});
        for (std::size_t i = 0; i < segment.blocks.size(); ++i) {
          if (i != 0 && !is_hook(segment.blocks[i], kDefaultHookRate)) continue;
          auto& hook = answers.hooks[segment.blocks[i]];
          hook = hook ? std::min(*hook, segment.entry.id) : segment.entry.id;
        }
      }
      for (const NodeEntry& node : pack.nodes) answers.nodes[node.id].push_back({id, node});
    }
    return answers;
  }

  Answers ask(const Index& index) const {
    Answers answers;
    for (const BlockId& block : blocks_) answers.hooks[block] = must(index.find_hooks({&block, 1})).front();
    for (const auto& blocks : segments_) {
      const SegmentId id = segment_id(blocks);
      answers.segments[id] = must(index.segment_places(id));
      EXPECT_EQ(first_of(answers.segments[id]), must(index.find_segment(id)));
    }
    for (const NodeId& node : nodes_) {
      answers.nodes[node] = must(index.node_places(node));
      EXPECT_EQ(first_of(answers.nodes[node]), must(index.find_node(node)));
    }
    for (const PackId& pack : ever_) answers.packs[pack] = must(index.pack_segments(pack));
    for (const auto& [pack, contents] : packs_) {
      answers.packs[pack] = must(index.pack_segments(pack));
      EXPECT_TRUE(must(index.has_pack(pack)));
    }
    return answers;
  }

 private:
  template <class Place>
  static std::optional<Place> first_of(const std::vector<Place>& places) {
    return places.empty() ? std::optional<Place>() : places.front();
  }

  void learn(PackKind kind, const PackId& id) {
    const auto reader = must(WholePackReader::open(*objects_, kind, id));
    WorldPack pack{kind, {}, {}};
    if (kind == PackKind::kMeta) pack.nodes = must(reader->nodes());
    for (const NodeEntry& node : pack.nodes) nodes_.push_back(node.id);
    for (const SegmentEntry& entry :
         kind == PackKind::kData ? must(reader->segments()) : std::vector<SegmentEntry>()) {
      const std::vector<BlockId> blocks = must(reader->read_directory(entry)).blocks;
      blocks_.insert(blocks_.end(), blocks.begin(), blocks.end());
      segments_.push_back(blocks);
      pack.segments.push_back({entry, blocks});
    }
    packs_[id] = pack;
  }

  template <class Id>
  Id make_id() {
    Id id;
    prng_.fill(id.span());
    return id;
  }

  std::vector<BlockId> some_segment() {
    if (!segments_.empty() && prng_.below(4) == 0) return segments_[prng_.below(segments_.size())];
    std::vector<BlockId> blocks(1 + prng_.below(100));
    for (BlockId& block : blocks) {
      const bool repeat = !blocks_.empty() && prng_.below(4) == 0;
      block = repeat ? blocks_[prng_.below(blocks_.size())] : make_id<BlockId>();
      if (!repeat) blocks_.push_back(block);
    }
    segments_.push_back(blocks);
    return blocks;
  }

  static std::vector<FrameEntry> frames_of(std::size_t blocks) {
    std::vector<FrameEntry> frames;
    for (std::size_t left = blocks; left > 0;) {
      const std::size_t n = std::min<std::size_t>(left, 16);
      frames.push_back(
          {static_cast<std::uint32_t>(n * kBlockBytes), FrameCodec::kRaw, static_cast<std::uint8_t>(n), 0});
      left -= n;
    }
    return frames;
  }

  std::string root_;
  Prng prng_;
  std::unique_ptr<LocalObjectStore> objects_;
  std::map<PackId, WorldPack> packs_;
  std::vector<PackId> ever_;
  std::vector<BlockId> blocks_;
  std::vector<std::vector<BlockId>> segments_;
  std::vector<NodeId> nodes_;
};

}  // namespace ashlar
