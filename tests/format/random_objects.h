// Random valid objects of every format, made from a seed.
#pragma once

#include <algorithm>
#include <set>
#include <string>

#include "base/random.h"
#include "codec/hash.h"
#include "document/store_config.h"
#include "format/collection_record.h"
#include "format/damage_record.h"
#include "format/free_record.h"
#include "format/name_claim.h"
#include "format/node_format.h"
#include "format/pack_format.h"
#include "format/scrub_record.h"
#include "format/session_record.h"
#include "format/snapshot_life.h"
#include "format/snapshot_record.h"
#include "format/trace_record.h"
#include "format/volume_record.h"

namespace ashlar::random_objects {

template <class Id>
Id id(Prng& prng) {
  Id id;
  prng.fill(id.span());
  return id;
}

inline std::string text(Prng& prng, std::size_t limit) {
  std::string out(prng.below(limit + 1), ' ');
  for (char& c : out) c = static_cast<char>(prng.below(256));
  return out;
}

inline PackHeader pack_header(Prng& prng) {
  return {prng.below(2) == 0 ? PackKind::kData : PackKind::kMeta, id<StoreId>(prng), id<PackId>(prng)};
}

inline FrameEntry frame(Prng& prng, std::uint64_t most_blocks) {
  FrameEntry entry;
  entry.block_count =
      static_cast<std::uint8_t>(1 + prng.below(std::min<std::uint64_t>(most_blocks, kMaxFrameBlocks)));
  entry.codec = static_cast<FrameCodec>(prng.below(3));
  const std::uint64_t raw = entry.block_count * kBlockBytes;
  if (entry.codec == FrameCodec::kRaw) entry.stored_bytes = static_cast<std::uint32_t>(raw);
  if (entry.codec == FrameCodec::kZstd)
    entry.stored_bytes = static_cast<std::uint32_t>(1 + prng.below(raw - 1));
  entry.checksum = prng.next();
  return entry;
}

inline SegmentDirectory directory(Prng& prng) {
  SegmentDirectory out;
  const std::uint64_t blocks = 1 + prng.below(prng.below(4) == 0 ? kSegmentBlocks : 40);
  for (std::uint64_t i = 0; i < blocks; ++i) out.blocks.push_back(id<BlockId>(prng));
  for (std::uint64_t left = blocks; left > 0;) {
    out.frames.push_back(frame(prng, left));
    left -= out.frames.back().block_count;
  }
  out.id = segment_id(out.blocks);
  return out;
}

// Returns a leaf that a writer could have written: extents are merged, and segments stand in the order of
// their use.
inline Leaf leaf(Prng& prng) {
  Leaf out;
  const std::uint64_t blocks = prng.below(3) == 0 ? kLeafBlocks : 1 + prng.below(kLeafBlocks);
  for (std::uint64_t covered = 0; covered < blocks;) {
    LeafExtent next;
    next.kind = static_cast<ExtentKind>(1 + prng.below(4));
    next.block_count =
        static_cast<std::uint16_t>(1 + prng.below(std::min<std::uint64_t>(blocks - covered, 60)));
    if (next.kind == ExtentKind::kData) {
      next.segment = static_cast<std::uint16_t>(prng.below(out.segments.size() + 1));
      next.first_block = static_cast<std::uint16_t>(prng.below(kSegmentBlocks - next.block_count + 1));
    }
    if (!out.extents.empty()) {
      const LeafExtent& last = out.extents.back();
      if (last.kind == next.kind &&
          (next.kind != ExtentKind::kData ||
           (last.segment == next.segment && last.first_block + last.block_count == next.first_block))) {
        continue;
      }
    }
    if (next.kind == ExtentKind::kData && next.segment == out.segments.size())
      out.segments.push_back(id<SegmentId>(prng));
    out.extents.push_back(next);
    covered += next.block_count;
  }
  out.no_region_hashes = prng.below(4) == 0;
  const std::uint64_t regions = (blocks + kRegionBlocks - 1) / kRegionBlocks;
  for (std::uint64_t r = 0; r < regions && !out.no_region_hashes; ++r) {
    if (prng.below(2) == 0) continue;
    out.region_mask |= std::uint64_t{1} << r;
    out.regions.push_back(id<RegionHash>(prng));
  }
  out.digest = id<ContentDigest>(prng);
  return out;
}

inline NodeRef child(Prng& prng) {
  NodeRef ref{static_cast<ChildKind>(1 + prng.below(3)), {}, id<ContentDigest>(prng)};
  if (ref.is_node()) ref.id = id<NodeId>(prng);
  return ref;
}

inline InnerNode inner_node(Prng& prng) {
  InnerNode out;
  out.level = static_cast<std::uint8_t>(1 + prng.below(kMaxLevel));
  const std::uint64_t children = 1 + prng.below(kFanout);
  for (std::uint64_t i = 0; i < children; ++i) out.children.push_back(child(prng));
  return out;
}

inline Tags tags(Prng& prng) {
  Tags out;
  for (std::uint64_t count = prng.below(kMaxTags + 1); count > 0; --count) {
    out["k" + text(prng, kMaxTagKeyBytes - 1)] = text(prng, kMaxTagValueBytes);
  }
  return out;
}

inline SnapshotRecord snapshot(Prng& prng) {
  SnapshotRecord out;
  out.id.value = prng.next();
  out.parent.value = prng.next();
  out.store = id<StoreId>(prng);
  out.created.unix_ns = prng.next();
  out.size = ByteCount{prng.below(kMaxVolumeBytes + 1) >> prng.below(57)};
  const BlockCount blocks = blocks_covering(out.size);
  out.root_level = root_level(blocks);
  out.root = child(prng);
  out.content = volume_digest(out.size, out.root_level, out.root.digest);
  out.source_kind = static_cast<SourceKind>(1 + prng.below(4));
  out.source_identity = id<SourceIdentity>(prng);
  out.consistency = static_cast<Consistency>(prng.below(4));
  out.generation = static_cast<std::uint32_t>(prng.next());
  BlockCount rest = blocks;
  for (BlockCount* count : {&out.data_blocks, &out.zero_blocks, &out.unallocated_blocks}) {
    *count = BlockCount{prng.below(rest.value + 1)};
    rest = rest - *count;
  }
  out.unreadable_blocks = rest;
  out.new_blocks = BlockCount{prng.next()};
  out.new_stored_bytes = ByteCount{prng.next()};
  out.incarnation = static_cast<std::uint32_t>(prng.next());
  out.revision = prng.next();
  out.sector_bytes = static_cast<std::uint32_t>(prng.next());
  for (std::string* line : {&out.name, &out.description, &out.change_token, &out.program, &out.label}) {
    *line = text(prng, kMaxTextBytes);
  }
  out.tags = tags(prng);
  return out;
}

inline VolumeRecord volume(Prng& prng) {
  VolumeRecord out;
  out.id.value = 1 + prng.below(~std::uint64_t{0});
  out.base.value = 1 + prng.below(~std::uint64_t{0});
  out.previous_base.value = prng.next();
  out.store = id<StoreId>(prng);
  out.created.unix_ns = prng.next();
  out.size = ByteCount{1 + prng.below(kMaxVolumeBytes)};
  if (prng.below(2) == 1) out.owner.value = prng.below(1'000'000'000'000);
  out.is_detached = prng.below(2) == 1;
  out.host = id<HostId>(prng);
  out.host_name = text(prng, kMaxVolumeHostNameBytes);
  out.revision = 1 + prng.below(~std::uint64_t{0});
  out.name = text(prng, kMaxTextBytes);
  out.tags = tags(prng);
  return out;
}

inline FreeRecord free_record(Prng& prng) { return {1 + prng.below(~std::uint64_t{0}), id<Nonce>(prng)}; }

inline NameClaim name_claim(Prng& prng) {
  return {1 + prng.below(~std::uint64_t{0}), ImageId{1 + prng.below(~std::uint64_t{0})}, id<Nonce>(prng)};
}

inline TraceRecord trace(Prng& prng) {
  TraceRecord out;
  out.snapshot.value = 1 + prng.below(~std::uint64_t{0});
  out.store = id<StoreId>(prng);
  out.owner = prng.below(1'000'000'000'000);
  out.servings = static_cast<std::uint32_t>(1 + prng.below(1000));
  if (prng.below(2) == 1) {
    out.boot_pack = id<BootPackId>(prng);
    out.pack_bytes = 1 + prng.below(std::uint64_t{1} << 30);
  }
  std::uint32_t position = 0;
  for (std::uint64_t region = prng.below(100); region < 4000; region += 1 + prng.below(200)) {
    position += static_cast<std::uint32_t>(prng.below(3));
    out.regions.push_back({region, position, static_cast<std::uint32_t>(1 + prng.below(out.servings))});
  }
  for (std::uint32_t i = 0; i < prng.below(60); ++i) {
    const auto known = static_cast<std::uint32_t>(out.segments.size());
    const auto segment = static_cast<std::uint32_t>(prng.below(known + 1));
    if (segment == known) out.segments.push_back(id<SegmentId>(prng));
    const auto first = static_cast<std::uint16_t>(prng.below(kSegmentBlocks));
    out.content.push_back(
        {segment, first, static_cast<std::uint16_t>(1 + prng.below(kSegmentBlocks - first))});
  }
  return out;
}

inline SessionRecord session(Prng& prng) {
  SessionRecord out;
  out.id = id<SessionId>(prng);
  out.store = id<StoreId>(prng);
  out.started.unix_ns = prng.next();
  prng.fill(out.boot);
  out.pid = static_cast<std::uint32_t>(prng.next());
  out.pid_started = prng.next();
  out.host = text(prng, kMaxHostNameBytes);
  out.nonce = id<Nonce>(prng);
  out.beat = prng.next();
  out.epoch = prng.next();
  out.state = static_cast<SessionState>(1 + prng.below(4));
  for (auto* ids : {&out.open_snapshots, &out.bases}) {
    ids->resize(prng.below(6));
    for (SnapshotId& one : *ids) one.value = prng.next();
  }
  out.keeps.resize(prng.below(300));
  for (PackId& pack : out.keeps) pack = id<PackId>(prng);
  return out;
}

inline CollectionState collection_state(Prng& prng) {
  CollectionState out;
  out.store = id<StoreId>(prng);
  out.revision = prng.next();
  out.nonce = id<Nonce>(prng);
  out.epoch = prng.next();
  out.phase = static_cast<CollectionPhase>(prng.below(3));
  out.collector = id<SessionId>(prng);
  if (out.phase != CollectionPhase::kIdle) out.list = id<Nonce>(prng);
  return out;
}

inline PackList pack_list(Prng& prng) {
  std::set<PackName> names;
  for (std::uint64_t i = prng.below(300); i > 0; --i)
    names.insert({prng.below(2) == 0 ? PackKind::kData : PackKind::kMeta, id<PackId>(prng)});
  return {id<StoreId>(prng), prng.next(), {names.begin(), names.end()}};
}

inline ScrubState scrub_state(Prng& prng) {
  ScrubState out;
  out.store = id<StoreId>(prng);
  out.revision = prng.next();
  out.nonce = id<Nonce>(prng);
  const std::uint64_t times = 1 + prng.below(4);
  for (UtcTime& checked : out.checked) checked.unix_ns = 1000 * prng.below(times);
  return out;
}

inline DamageRecord damage(Prng& prng) {
  DamageRecord out;
  out.kind = prng.below(2) == 0 ? PackKind::kData : PackKind::kMeta;
  out.store = id<StoreId>(prng);
  out.pack = id<PackId>(prng);
  out.revision = 1 + prng.below(std::uint64_t{1} << 63U);
  out.nonce = id<Nonce>(prng);
  out.is_whole = prng.below(3) == 0;
  out.is_given_up = out.is_whole && prng.below(2) == 0;
  for (std::uint64_t n = prng.below(20); n > 0; --n) {
    if (out.kind == PackKind::kMeta) {
      out.nodes[id<NodeId>(prng)] = static_cast<NodeDamage>(1 + prng.below(2));
      continue;
    }
    SegmentDamage& damage = out.segments[id<SegmentId>(prng)];
    const std::uint64_t frames = 1 + prng.below(kSegmentBlocks);
    for (std::uint64_t i = 1 + prng.below(12); i > 0; --i) {
      const std::uint64_t frame = prng.below(frames);
      damage.damaged[frame] = true;
      damage.lost[frame] = prng.below(2) == 0;
    }
  }
  return out;
}

inline OpenSnapshot open_snapshot(Prng& prng) {
  return {SnapshotId{prng.next()}, id<StoreId>(prng), id<SessionId>(prng), id<Nonce>(prng)};
}

inline GoneSnapshot gone_snapshot(Prng& prng) {
  GoneSnapshot out;
  out.state = static_cast<GoneState>(1 + prng.below(3));
  out.incarnation = static_cast<std::uint32_t>(prng.next());
  out.deleted.unix_ns = prng.next();
  out.nonce = id<Nonce>(prng);
  out.id.value = prng.next();
  if (out.state == GoneState::kSwept) return out;
  out.record = snapshot(prng);
  out.id = out.record->id;
  return out;
}

inline StoreConfig store_config(Prng& prng) {
  StoreConfig out;
  out.id = id<StoreId>(prng);
  out.created.unix_ns = prng.next();
  out.frame_blocks = static_cast<std::uint32_t>(1 + prng.below(kMaxFrameBlocks));
  out.level = kMinZstdLevel + static_cast<int>(prng.below(kMaxZstdLevel - kMinZstdLevel + 1));
  out.hook_rate = 1U << prng.below(9);
  out.revision = 1 + prng.below(std::uint64_t{1} << 63U);
  prng.fill(out.region_secret.span());
  if (prng.below(2) == 0) out.unknown_to_write = {"a-word", "b2"};
  return out;
}

}  // namespace ashlar::random_objects
