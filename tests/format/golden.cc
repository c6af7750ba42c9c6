#include "format/golden.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "codec/hash.h"

namespace ashlar::golden {
namespace {

template <class Id>
Id numbered(unsigned first) {
  Id id;
  for (std::size_t i = 0; i < Id::kBytes; ++i) id.bytes[i] = static_cast<std::byte>(first + i);
  return id;
}

constexpr std::uint64_t kCreatedNs = 1795228800123456789;  // 2026-11-21T02:40:00.123456789Z
constexpr std::size_t kShortBytes = 1000;
constexpr std::size_t kFirstLeafData = 22 + 2;

std::vector<BlockId> ids_of(const std::vector<ByteVector>& blocks) {
  std::vector<BlockId> ids;
  for (const ByteVector& block : blocks) ids.push_back(block_id(block));
  return ids;
}

void append(ByteVector& out, ByteSpan bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// Returns the marks of a leaf's blocks, looked up as a reader would do it.
std::vector<BlockMark> leaf_marks(const Leaf& leaf) {
  const std::vector<BlockId> a = ids_of(blocks_a());
  const std::vector<BlockId> b = ids_of(blocks_b());
  std::vector<BlockMark> marks;
  for (const LeafExtent& extent : leaf.extents) {
    for (std::size_t i = 0; i < extent.block_count; ++i) {
      if (extent.kind == ExtentKind::kUnreadable) {
        marks.push_back(unreadable_block_mark());
      } else if (extent.kind != ExtentKind::kData) {
        marks.push_back(zero_block_mark());
      } else {
        const auto& from = leaf.segments[extent.segment] == segment_id(a) ? a : b;
        marks.push_back(mark_of(from.at(extent.first_block + i)));
      }
    }
  }
  return marks;
}

// Fills in the region hashes of a leaf that starts at block `first` of the volume, and its digest.
void finish(Leaf& leaf, std::size_t first) {
  ByteVector volume = volume_bytes();
  volume.resize((volume.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  const std::size_t end = first + leaf.block_count();
  for (std::size_t block = first; block < end; block += kRegionBlocks) {
    const std::size_t count = std::min<std::size_t>(kRegionBlocks, end - block);
    const ByteSpan region = ByteSpan(volume).subspan(block * kBlockBytes, count * kBlockBytes);
    if (is_zero(region)) continue;
    leaf.region_mask |= std::uint64_t{1} << ((block - first) / kRegionBlocks);
    leaf.regions.push_back(region_hash(region, store_config().region_secret));
  }
  leaf.digest = leaf_digest(leaf_marks(leaf));
}

}  // namespace

StoreConfig store_config() {
  StoreConfig config;
  config.id = numbered<StoreId>(0x10);
  config.created.unix_ns = kCreatedNs;
  for (std::size_t i = 0; i < RegionSecret::kBytes; ++i)
    config.region_secret.span()[i] = static_cast<std::byte>(0x80 + i);
  return config;
}

PackHeader data_header() { return {PackKind::kData, store_config().id, numbered<PackId>(0xa0)}; }
PackHeader meta_header() { return {PackKind::kMeta, store_config().id, numbered<PackId>(0xc0)}; }

std::vector<ByteVector> blocks_a() {
  std::vector<ByteVector> blocks;
  for (int i = 0; i < 20; ++i) {
    std::string text;
    for (int line = 0; text.size() < kBlockBytes; ++line) text += fmt::format("block {} line {}\n", i, line);
    text.resize(kBlockBytes);
    const ByteSpan bytes = as_byte_span(text);
    blocks.emplace_back(bytes.begin(), bytes.end());
  }
  return blocks;
}

std::vector<ByteVector> blocks_b() {
  Prng prng(7);
  std::vector<ByteVector> blocks(3, ByteVector(kBlockBytes));
  prng.fill(blocks[0]);
  prng.fill(blocks[1]);
  prng.fill(MutableByteSpan(blocks[2]).first(kShortBytes));
  return blocks;
}

EncodedSegment encode_segment(const std::vector<ByteVector>& blocks,
                              const std::vector<std::size_t>& frame_blocks) {
  EncodedSegment segment;
  segment.directory.blocks = ids_of(blocks);
  segment.directory.id = segment_id(segment.directory.blocks);
  FrameEncoder encoder(1);
  std::size_t next = 0;
  for (const std::size_t count : frame_blocks) {
    ByteVector raw;
    for (std::size_t i = 0; i < count; ++i) append(raw, blocks[next++]);
    const auto frame = encoder.encode(raw).take();
    segment.directory.frames.push_back({static_cast<std::uint32_t>(frame.stored.size()), frame.codec,
                                        static_cast<std::uint8_t>(count), checksum64(frame.stored)});
    append(segment.payload, frame.stored);
  }
  return segment;
}

ByteCount volume_size() { return ByteCount{2 * kLeafBytes + 5 * kBlockBytes + kShortBytes}; }

ByteVector volume_bytes() {
  const auto a = blocks_a();
  const auto b = blocks_b();
  ByteVector volume;
  for (const ByteVector& block : a) append(volume, block);
  volume.resize(volume.size() + 4 * kBlockBytes);
  append(volume, a[3]);
  append(volume, a[4]);
  volume.resize(volume.size() + 900 * kBlockBytes);
  append(volume, b[0]);
  append(volume, b[1]);
  volume.resize(2 * kLeafBytes + kBlockBytes);
  for (std::size_t i = 10; i < 14; ++i) append(volume, a[i]);
  append(volume, ByteSpan(b[2]).first(kShortBytes));
  return volume;
}

Leaf first_leaf() {
  Leaf leaf;
  leaf.segments = {segment_id(ids_of(blocks_a())), segment_id(ids_of(blocks_b()))};
  leaf.extents = {
      {ExtentKind::kData, 20, 0, 0}, {ExtentKind::kZero, 4, 0, 0},
      {ExtentKind::kData, 2, 0, 3},  {ExtentKind::kUnallocated, 900, 0, 0},
      {ExtentKind::kData, 2, 1, 0},  {ExtentKind::kUnallocated, 1024 - 900 - 4 - kFirstLeafData, 0, 0}};
  finish(leaf, 0);
  return leaf;
}

Leaf last_leaf() {
  Leaf leaf;
  leaf.segments = {segment_id(ids_of(blocks_a())), segment_id(ids_of(blocks_b()))};
  leaf.extents = {{ExtentKind::kZero, 1, 0, 0}, {ExtentKind::kData, 4, 0, 10}, {ExtentKind::kData, 1, 1, 2}};
  finish(leaf, 2 * kLeafBlocks);
  return leaf;
}

InnerNode root() {
  InnerNode node;
  node.level = 1;
  node.children.push_back({ChildKind::kNode, node_id(encode(first_leaf())), first_leaf().digest});
  node.children.push_back({ChildKind::kZero, {}, zero_digest(0, BlockCount{kLeafBlocks})});
  node.children.push_back({ChildKind::kNode, node_id(encode(last_leaf())), last_leaf().digest});
  return node;
}

Leaf leaf_of_all_kinds() {
  Leaf leaf = last_leaf();
  leaf.extents.push_back({ExtentKind::kUnreadable, 3, 0, 0});
  leaf.extents.push_back({ExtentKind::kUnallocated, 1015, 0, 0});
  leaf.digest = leaf_digest(leaf_marks(leaf));
  return leaf;
}

SnapshotRecord snapshot() {
  SnapshotRecord record;
  record.id.value = 0x1122334455667788;
  record.parent.value = 0x99aabbccddeeff00;
  record.store = store_config().id;
  record.created.unix_ns = kCreatedNs + 1'000'000'000;
  record.size = volume_size();
  record.root_level = 1;
  record.root = {ChildKind::kNode, node_id(encode(root())), inner_digest(1, root().children)};
  record.content = volume_digest(record.size, record.root_level, record.root.digest);
  record.source_kind = SourceKind::kDevice;
  record.source_identity = numbered<SourceIdentity>(0x40);
  record.consistency = Consistency::kFrozen;
  record.generation = 5;
  record.data_blocks = BlockCount{29};
  record.zero_blocks = BlockCount{4 + kLeafBlocks + 1};
  record.unallocated_blocks = BlockCount{1024 - 4 - kFirstLeafData};
  record.new_blocks = BlockCount{23};
  record.new_stored_bytes = ByteCount{10000};
  record.name = "golden";
  record.description = "every field is set";
  record.change_token = "bitmap-7";
  record.program = "ashlar 0.1.0";
  record.label = "rack7 sda";
  record.incarnation = 2;
  record.revision = 3;
  record.sector_bytes = 512;
  record.tags = {{"empty", ""}, {"role", "db"}};
  return record;
}

SessionRecord session() {
  SessionRecord record;
  record.id = numbered<SessionId>(0xe0);
  record.store = store_config().id;
  record.started.unix_ns = kCreatedNs;
  for (std::size_t i = 0; i < record.boot.size(); ++i) record.boot[i] = static_cast<std::byte>(0x70 + i);
  record.pid = 4242;
  record.pid_started = 987654321;
  record.host = "rack7-host3";
  record.nonce = numbered<Nonce>(0x90);
  record.beat = 12;
  record.epoch = 3;
  record.open_snapshots = {snapshot().id};
  record.bases = {snapshot().parent};
  record.keeps = {data_header().pack};
  return record;
}

CollectionState collection_state() {
  CollectionState state;
  state.store = store_config().id;
  state.revision = 7;
  state.nonce = numbered<Nonce>(0x90);
  state.epoch = 3;
  state.phase = CollectionPhase::kBarrier;
  state.collector = session().id;
  state.list = numbered<Nonce>(0xd0);
  return state;
}

PackList pack_list() {
  return {store_config().id,
          collection_state().epoch,
          {{PackKind::kData, data_header().pack}, {PackKind::kMeta, meta_header().pack}}};
}

ScrubState scrub_state() {
  ScrubState state;
  state.store = store_config().id;
  state.revision = 5;
  state.nonce = numbered<Nonce>(0x70);
  for (std::size_t group = 0; group < 0x30; ++group) state.checked[group].unix_ns = kCreatedNs;
  state.checked[0xabc].unix_ns = kCreatedNs + 1'000'000'000;
  return state;
}

DamageRecord damage() {
  DamageRecord record;
  record.kind = PackKind::kData;
  record.store = store_config().id;
  record.pack = data_header().pack;
  record.revision = 3;
  record.nonce = numbered<Nonce>(0x60);
  SegmentDamage some;
  for (const std::size_t frame : {0, 1, 9}) some.damaged[frame] = true;
  some.lost[9] = true;
  record.segments[numbered<SegmentId>(0x20)] = some;
  SegmentDamage all;
  all.damaged.set();
  record.segments[numbered<SegmentId>(0x80)] = all;
  return record;
}

DamageRecord meta_damage() {
  DamageRecord record;
  record.kind = PackKind::kMeta;
  record.store = store_config().id;
  record.pack = meta_header().pack;
  record.nonce = numbered<Nonce>(0x50);
  record.is_whole = true;
  record.is_given_up = true;
  record.nodes[numbered<NodeId>(0x20)] = NodeDamage::kDamaged;
  record.nodes[numbered<NodeId>(0x40)] = NodeDamage::kLost;
  return record;
}

OpenSnapshot open_snapshot() {
  return {snapshot().id, store_config().id, session().id, numbered<Nonce>(0xb0)};
}

GoneSnapshot binned_snapshot() {
  GoneSnapshot gone;
  gone.id = snapshot().id;
  gone.state = GoneState::kBinned;
  gone.incarnation = 3;
  gone.deleted.unix_ns = kCreatedNs + 2'000'000'000;
  gone.nonce = numbered<Nonce>(0xd0);
  gone.record = snapshot();
  return gone;
}

GoneSnapshot swept_snapshot() {
  GoneSnapshot gone = binned_snapshot();
  gone.state = GoneState::kSwept;
  gone.incarnation = 0;
  gone.record.reset();
  return gone;
}

FreeRecord free_record() { return {5, numbered<Nonce>(0xe0)}; }

NameClaim name_claim() { return {2, ImageId{0x1122334455667788}, numbered<Nonce>(0xf0)}; }

VolumeRecord volume() {
  VolumeRecord record;
  record.id = VolumeId{0xfedcba9876543210};
  record.store = store_config().id;
  record.created.unix_ns = kCreatedNs;
  record.size = ByteCount{std::uint64_t{1} << 30};
  record.base = golden::snapshot().id;
  record.previous_base = SnapshotId{7};
  record.owner = AccountId{123456789012};
  record.host = numbered<HostId>(0x30);
  record.host_name = "rack7-host3";
  record.revision = 4;
  record.name = "scratch";
  record.tags = {{"role", "db"}};
  return record;
}

TraceRecord trace() {
  TraceRecord record;
  record.snapshot = golden::snapshot().id;
  record.store = store_config().id;
  record.servings = 3;
  record.boot_pack = boot_pack_header().id;
  record.pack_bytes = 4096;
  record.regions = {{2048, 0, 3}, {0, 1, 3}, {5, 1, 2}};
  record.segments = {first_leaf().segments[1], first_leaf().segments[0]};
  record.content = {{0, 0, 2}, {1, 4, 16}, {0, 2, 1}};
  return record;
}

BootPackHeader boot_pack_header() {
  return {numbered<BootPackId>(0xb0), golden::snapshot().id, store_config().id};
}

namespace {

// Copies the frames of segments A and B out of a data pack.
void take_frames(ByteSpan data_pack, std::vector<EncodedSegment>& segments) {
  const auto trailer = decode_pack_trailer(data_pack.last(kPackTrailerBytes), data_pack.size()).take();
  const auto entries =
      decode_segment_entries(trailer, data_pack.subspan(trailer.footer_offset, trailer.footer_bytes()))
          .take();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const SegmentEntry& entry = entries.at(i);
    segments[i].directory =
        decode_segment_directory(data_pack.subspan(entry.directory_offset, entry.directory_bytes)).take();
    const ByteSpan payload = data_pack.subspan(entry.payload_offset, entry.payload_bytes);
    segments[i].payload.assign(payload.begin(), payload.end());
  }
}

ByteVector data_pack_bytes(const std::vector<EncodedSegment>& segments) {
  ByteVector pack = encode(data_header());
  std::vector<SegmentEntry> entries;
  for (const EncodedSegment& segment : segments) {
    entries.push_back({segment.directory.id, pack.size(), 0,
                       static_cast<std::uint32_t>(segment.payload.size()), 0,
                       static_cast<std::uint32_t>(segment.directory.blocks.size())});
    append(pack, segment.payload);
  }
  const std::uint64_t directories_offset = pack.size();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const ByteVector directory = encode(segments[i].directory);
    entries[i].directory_offset = pack.size();
    entries[i].directory_bytes = static_cast<std::uint32_t>(directory.size());
    append(pack, directory);
  }
  append(pack, encode_footer(std::span<const SegmentEntry>(entries), directories_offset, pack.size()));
  return pack;
}

ByteVector meta_pack_bytes() {
  ByteVector pack = encode(meta_header());
  std::vector<NodeEntry> entries;
  for (const ByteVector& node : {encode(first_leaf()), encode(last_leaf()), encode(root())}) {
    entries.push_back({node_id(node), pack.size(), static_cast<std::uint32_t>(node.size())});
    append(pack, node);
  }
  append(pack, encode_footer(std::span<const NodeEntry>(entries), pack.size()));
  return pack;
}

}  // namespace

std::vector<File> files(ByteSpan data_pack) {
  std::vector<EncodedSegment> segments = {encode_segment(blocks_a(), {16, 4}),
                                          encode_segment(blocks_b(), {2, 1})};
  if (!data_pack.empty()) take_frames(data_pack, segments);
  const std::string config = encode(store_config());
  const ByteSpan config_bytes = as_byte_span(config);
  return {
      {"store/ashlar.json", ByteVector(config_bytes.begin(), config_bytes.end())},
      {"store/" + pack_key(PackKind::kData, data_header().pack), data_pack_bytes(segments)},
      {"store/" + pack_key(PackKind::kMeta, meta_header().pack), meta_pack_bytes()},
      {"store/snapshots/" + snapshot().id.text(), encode(snapshot())},
      {"session.bin", encode(session())},
      {"collection-state.bin", encode(collection_state())},
      {"condemned.bin", encode(pack_list())},
      {"scrub-state.bin", encode(scrub_state())},
      {"damage.bin", encode(damage())},
      {"meta-damage.bin", encode(meta_damage())},
      {"open-snapshot.bin", encode(open_snapshot())},
      {"binned-snapshot.bin", encode(binned_snapshot())},
      {"swept-snapshot.bin", encode(swept_snapshot())},
      {"volume.bin", encode(volume())},
      {"free-record.bin", encode(free_record())},
      {"name-claim.bin", encode(name_claim())},
      {"trace.bin", encode(trace())},
      {"boot-pack-header.bin", encode(boot_pack_header())},
      {"leaf.bin", encode(leaf_of_all_kinds())},
      {"leaf-without-hashes.bin", encode(without_region_hashes(leaf_of_all_kinds()))},
      {"inner-node.bin", encode(root())},
  };
}

}  // namespace ashlar::golden
