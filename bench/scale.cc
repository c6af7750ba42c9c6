// Makes the synthetic stores that bench/scale.py measures the program on, and measures in this process what a
// collection keeps in memory.
//
//   scale chain STORE SNAPSHOTS              snapshots of one volume of 128 GiB, 4 KiB changed in each
//   scale data STORE PACKS SEGMENTS BLOCKS   a snapshot of PACKS packs of SEGMENTS segments of BLOCKS (1 to
//                                            1024, a power of two) blocks
//   scale liveness BLOCKS                    marks what a snapshot of so many blocks needs, without a store
//
// The stores are real: every block is stored, packs, nodes and records are written by the engine, and verify
// finds nothing. Blocks are zeros but for a number, so they take next to no space. `chain` gives each
// snapshot a data pack, a meta pack with a leaf and the two nodes above it, and an image; each thousand
// snapshots are of one source. Nothing is synced. Each prints a line of JSON about what was made.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/random.h"
#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "codec/frame.h"
#include "codec/hash.h"
#include "collect/liveness.h"
#include "format/name_claim.h"
#include "format/node_format.h"
#include "format/snapshot_record.h"
#include "io/local_object_store.h"
#include "manifest/builder.h"
#include "pack/pack_store.h"
#include "repo/repo.h"
#include "store/admission.h"
#include "store/pack_appender.h"

namespace ashlar {
namespace {

constexpr std::uint32_t kFrameBlocks = 16;
constexpr std::uint64_t kMetaPackBytes = std::uint64_t{64} << 20U;
constexpr std::uint64_t kChainLeaves = 32768;  // 128 GiB
constexpr std::uint64_t kBaseSegments = 64;    // what the leaves of the first snapshot are made of
constexpr std::uint64_t kOfOneSource = 1000;   // snapshots

template <class Id>
Id made_id(std::uint64_t kind, std::uint64_t number) {
  Id id;
  Prng prng(kind << 56U ^ number * 0x2545f4914f6cdd1dULL);
  prng.fill(id.span());
  return id;
}

// The files of this host, without any sync: a synthetic store may be lost.
class UnsyncedFiles : public FileSystem {
 public:
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override {
    return files_.open(path, mode);
  }
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    return std::unique_ptr<WritableFile>(std::make_unique<File>(TRY(files_.create(path))));
  }
  Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) override {
    return files_.create_random(path, bytes);
  }
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return files_.open_random(path);
  }
  Status rename(const std::string& from, const std::string& to) override { return files_.rename(from, to); }
  Status link(const std::string& from, const std::string& to) override { return files_.link(from, to); }
  Status remove(const std::string& path) override { return files_.remove(path); }
  Status make_directory(const std::string& path) override { return files_.make_directory(path); }
  Status sync_directory(const std::string& /*path*/) override { return {}; }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override { return files_.list(path); }
  Result<std::uint64_t> file_size(const std::string& path) override { return files_.file_size(path); }
  Result<FilePlace> place_of(const std::string& path) override { return files_.place_of(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return files_.lock(path); }

 private:
  class File : public WritableFile {
   public:
    explicit File(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
    Status append(ByteSpan bytes) override { return file_->append(bytes); }
    Status sync() override { return {}; }

   private:
    std::unique_ptr<WritableFile> file_;
  };
  FileSystem& files_ = posix_file_system();
};

// A store that is being made. Its packs are those of a session that has ended.
class Maker {
 public:
  explicit Maker(const std::string& directory)
      : address_(StoreAddress::parse(directory).take()),
        config_(Repo::init(files_, address_, {}).take()),
        objects_(files_, directory) {}

  ObjectStore& objects() { return objects_; }
  const StoreConfig& config() const { return config_; }

  // Publishes a data pack of `segments` segments, with blocks that no other has, and returns their ids.
  std::vector<std::vector<BlockId>> publish_data(std::uint64_t segments, std::uint64_t blocks) {
    auto pack = DataPackWriter::create(objects_, config_.id, session_).take();
    std::vector<std::vector<BlockId>> ids;
    for (std::uint64_t i = 0; i < segments; ++i) {
      const SealedSegment segment = next_segment(blocks);
      pack->append(encode_segment(segment, kFrameBlocks, encoder_).take()).take();
      ids.push_back(segment.blocks);
    }
    pack->finish().take();
    ++data_packs_;
    return ids;
  }

  // Adds a node to the open meta pack.
  NodeId put(const ByteVector& encoding) {
    if (!meta_) meta_ = MetaPackWriter::create(objects_, config_.id, session_).take();
    const NodeId id = node_id(encoding);
    meta_->append(id, encoding).take();
    ++nodes_;
    if (meta_->bytes() > kMetaPackBytes) publish_meta();
    return id;
  }
  void publish_meta() {
    if (!meta_) return;
    meta_->finish().take();
    meta_.reset();
    ++meta_packs_;
  }
  template <class Node>
  NodeRef put_node(const Node& node, const ContentDigest& digest) {
    return {ChildKind::kNode, put(encode(node)), digest};
  }

  // Publishes a snapshot of `leaves` leaves, of the source with this number, and an image of it.
  void publish_snapshot(const NodeRef& root, std::uint64_t leaves, std::uint64_t source) {
    SnapshotRecord record;
    record.id = SnapshotId{random_u64()};
    record.store = config_.id;
    record.created = UtcTime{config_.created.unix_ns + ++snapshots_ * 1'000'000};
    record.size = ByteCount{leaves * kLeafBlocks * kBlockBytes};
    record.root_level = root_level(BlockCount{leaves * kLeafBlocks});
    record.root = root;
    record.content = volume_digest(record.size, record.root_level, root.digest);
    record.source_identity = made_id<SourceIdentity>(1, source);
    record.data_blocks = BlockCount{leaves * kLeafBlocks};
    record.name = fmt::format("scale {}", snapshots_);
    record.program = "ashlar scale";
    objects_.put_if_absent(SnapshotCatalog::key_of(record.id), encode(record)).take();
    extent_bytes_ += static_cast<double>(record.size.value);

    ImageRecord image;
    image.id = ImageId{random_u64()};
    image.store = config_.id;
    image.name = fmt::format("scale-{}", snapshots_);
    image.owner = AccountId::of_store(config_.id);
    image.created = record.created;
    image.root_device = "/dev/sda";
    ImageDevice& device = image.devices.emplace_back();
    device.name = image.root_device;
    device.content = {record.id, record.content, record.size};
    device.size = record.size;
    objects_.put_if_absent(ImageCatalog::key_of(image.id), as_byte_span(encode(image))).take();
    // As ImageCatalog::publish() does, which also looks at all other images.
    const std::string claim =
        fmt::format("image-names/{}-{}", image.owner.text(), to_hex(sha256(as_byte_span(image.name))));
    objects_.put_if_absent(claim, encode(NameClaim{1, image.id, random_id<Nonce>()})).take();
  }

  void report() {
    publish_meta();
    fmt::print(
        R"({{"snapshots": {}, "images": {}, "data_packs": {}, "meta_packs": {}, "segments": {}, "blocks": {}, )"
        R"("nodes": {}, "extent_bytes": {}}})"
        "\n",
        snapshots_, snapshots_, data_packs_, meta_packs_, segments_, blocks_, nodes_, extent_bytes_);
  }

 private:
  SealedSegment next_segment(std::uint64_t blocks) {
    SealedSegment segment;
    segment.ordinal = segments_++;
    segment.data = AlignedBuffer(blocks * kBlockBytes);
    std::memset(segment.data.data(), 0, blocks * kBlockBytes);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      std::byte* block = segment.data.data() + i * kBlockBytes;
      ++blocks_;
      std::memcpy(block, &blocks_, sizeof blocks_);
      segment.blocks.push_back(block_id(ByteSpan(block, kBlockBytes)));
    }
    segment.id = segment_id(segment.blocks);
    return segment;
  }

  UnsyncedFiles files_;
  StoreAddress address_;
  StoreConfig config_;
  LocalObjectStore objects_;
  const SessionId session_ = random_id<SessionId>();
  FrameEncoder encoder_{1};
  std::unique_ptr<MetaPackWriter> meta_;
  std::uint64_t snapshots_ = 0;
  std::uint64_t data_packs_ = 0;
  std::uint64_t meta_packs_ = 0;
  std::uint64_t segments_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t nodes_ = 0;
  double extent_bytes_ = 0;
};

// A leaf of pieces of segments, one after the other.
class LeafDraft {
 public:
  void add(const std::vector<BlockId>& segment, std::size_t first, std::size_t count) {
    leaf_.segments.push_back(segment_id(segment));
    leaf_.extents.push_back({ExtentKind::kData, static_cast<std::uint16_t>(count),
                             static_cast<std::uint16_t>(leaf_.segments.size() - 1),
                             static_cast<std::uint16_t>(first)});
    for (std::size_t i = first; i < first + count; ++i) marks_.push_back(mark_of(segment[i]));
  }
  void add_zeros(std::size_t count) {
    leaf_.extents.push_back({ExtentKind::kZero, static_cast<std::uint16_t>(count), 0, 0});
    marks_.insert(marks_.end(), count, zero_block_mark());
  }
  NodeRef put(Maker& maker) {
    leaf_.no_region_hashes = true;
    leaf_.digest = leaf_digest(marks_);
    return maker.put_node(leaf_, leaf_.digest);
  }

 private:
  Leaf leaf_;
  std::vector<BlockMark> marks_;
};

NodeRef put_inner(Maker& maker, std::uint8_t level, std::vector<NodeRef> children) {
  InnerNode node{level, std::move(children)};
  const ContentDigest digest = inner_digest(level, node.children);
  return maker.put_node(node, digest);
}

// Returns the nodes above `below`, which are of the level below `level`.
std::vector<NodeRef> put_level(Maker& maker, std::uint8_t level, const std::vector<NodeRef>& below) {
  std::vector<NodeRef> nodes;
  for (std::size_t first = 0; first < below.size(); first += kFanout) {
    const std::size_t end = std::min(below.size(), first + kFanout);
    nodes.push_back(put_inner(maker, level,
                              {below.begin() + static_cast<std::ptrdiff_t>(first),
                               below.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return nodes;
}

void make_chain(const std::string& directory, std::uint64_t snapshots) {
  Maker maker(directory);
  const auto base = maker.publish_data(kBaseSegments, kSegmentBlocks);
  std::vector<NodeRef> leaves;
  for (std::uint64_t i = 0; i < kChainLeaves; ++i) {
    // Each leaf is another cut through two of the segments.
    LeafDraft leaf;
    const std::size_t cut = 1 + i / kBaseSegments;
    leaf.add(base[i % kBaseSegments], 0, cut);
    leaf.add(base[(i + 1) % kBaseSegments], cut, kSegmentBlocks - cut);
    leaves.push_back(leaf.put(maker));
  }
  std::vector<NodeRef> middle = put_level(maker, 1, leaves);
  maker.publish_snapshot(put_inner(maker, 2, middle), kChainLeaves, 0);
  maker.publish_meta();
  for (std::uint64_t i = 1; i < snapshots; ++i) {
    const std::uint64_t at = i * 7919 % kChainLeaves;
    LeafDraft leaf;
    leaf.add(maker.publish_data(1, 1).front(), 0, 1);
    leaf.add(base[i % kBaseSegments], 1, kSegmentBlocks - 1);
    leaves[at] = leaf.put(maker);
    const auto first = leaves.begin() + static_cast<std::ptrdiff_t>(at / kFanout * kFanout);
    middle[at / kFanout] = put_inner(maker, 1, {first, first + kFanout});
    maker.publish_snapshot(put_inner(maker, 2, middle), kChainLeaves, i / kOfOneSource);
    maker.publish_meta();
  }
  maker.report();
}

// The blocks fill the leaves one after the other; 1024 is a multiple of `blocks`.
void make_data(const std::string& directory, std::uint64_t packs, std::uint64_t segments,
               std::uint64_t blocks) {
  Maker maker(directory);
  std::vector<NodeRef> level;
  LeafDraft leaf;
  std::uint64_t filled = 0;
  for (std::uint64_t i = 0; i < packs; ++i) {
    for (const auto& ids : maker.publish_data(segments, blocks)) {
      leaf.add(ids, 0, blocks);
      filled += blocks;
      if (filled < kLeafBlocks) continue;
      level.push_back(std::exchange(leaf, {}).put(maker));
      filled = 0;
    }
  }
  if (filled > 0) {
    leaf.add_zeros(kLeafBlocks - filled);
    level.push_back(leaf.put(maker));
  }
  const std::uint64_t leaves = level.size();
  for (std::uint8_t at = 1; level.size() > 1; ++at) level = put_level(maker, at, level);
  maker.publish_snapshot(level.front(), leaves, 0);
  maker.report();
}

// The nodes of a volume without a store: each leaf is a segment, and ids are numbers.
class MadeNodes : public NodeReader {
 public:
  explicit MadeNodes(std::uint64_t leaves) : leaves_(leaves) {}
  static NodeId id_of(std::uint8_t level, std::uint64_t index) {
    auto id = made_id<NodeId>(2, index << 3U | level);
    std::memcpy(id.bytes.data() + 16, &index, sizeof index);
    id.bytes[24] = static_cast<std::byte>(level);
    return id;
  }
  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override {
    ++reads_;
    auto leaf = std::make_shared<Leaf>();
    leaf->segments.push_back(made_id<SegmentId>(3, index_of(id)));
    leaf->extents.push_back({ExtentKind::kData, kLeafBlocks, 0, 0});
    return std::shared_ptr<const Leaf>(leaf);
  }
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override {
    ++reads_;
    const auto level = std::to_integer<std::uint8_t>(id.bytes[24]);
    auto node = std::make_shared<InnerNode>();
    node->level = level;
    for (std::uint64_t i = index_of(id) * kFanout; i < (index_of(id) + 1) * kFanout; ++i) {
      if (i * leaves_below(static_cast<std::uint8_t>(level - 1)) >= leaves_) break;
      node->children.push_back({ChildKind::kNode, id_of(static_cast<std::uint8_t>(level - 1), i), {}});
    }
    return std::shared_ptr<const InnerNode>(node);
  }
  std::uint64_t reads() const { return reads_; }

 private:
  static std::uint64_t index_of(const NodeId& id) {
    std::uint64_t index = 0;
    std::memcpy(&index, id.bytes.data() + 16, sizeof index);
    return index;
  }
  const std::uint64_t leaves_;
  std::uint64_t reads_ = 0;
};

double peak_bytes() {
  rusage usage{};
  CHECK(::getrusage(RUSAGE_SELF, &usage) == 0);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void measure_liveness(std::uint64_t blocks) {
  const std::uint64_t leaves = (blocks + kLeafBlocks - 1) / kLeafBlocks;
  MadeNodes nodes(leaves);
  SnapshotRecord snapshot;
  snapshot.root_level = root_level(BlockCount{leaves * kLeafBlocks});
  snapshot.root = {ChildKind::kNode, MadeNodes::id_of(snapshot.root_level, 0), {}};
  const double before = peak_bytes();
  Liveness live(nodes);
  live.mark(snapshot, {}).take();
  live.mark(snapshot, {}).take();
  CHECK(nodes.reads() == live.nodes());
  fmt::print(R"({{"blocks": {}, "nodes": {}, "node_reads": {}, "segments": {}, "bytes": {}}})"
             "\n",
             blocks, live.nodes(), nodes.reads(), live.segments(), peak_bytes() - before);
}

int run(const std::vector<std::string>& words) {
  const auto number = [&](std::size_t i) { return std::stoull(words.at(i)); };
  const std::string what = words.empty() ? "" : words[0];
  if (what == "chain" && words.size() == 3) {
    make_chain(words[1], number(2));
  } else if (what == "data" && words.size() == 5) {
    make_data(words[1], number(2), number(3), number(4));
  } else if (what == "liveness" && words.size() == 2) {
    measure_liveness(number(1));
  } else {
    fmt::print(stderr,
               "usage: scale chain STORE SNAPSHOTS | data STORE PACKS SEGMENTS BLOCKS | liveness BLOCKS\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace ashlar

int main(int argc, char** argv) { return ashlar::run({argv + 1, argv + argc}); }
