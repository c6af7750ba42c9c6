// Verify: reads the stored objects past the page cache, checks every checksum and id, and names the damage:
// file, segment and frame, the snapshots and block ranges that are lost with them, and the images and volumes
// that stand on those.
//
// A finding in a pack is recorded (catalog/damage.h) before it is reported, so that no capture relies on it
// from then on. Parts that were recorded earlier and are found sound are taken out of the record.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "index/index.h"
#include "store/meta_store.h"
#include "store/parts.h"

namespace ashlar {

// A damaged or missing object, segment or frame, or one that could not be read.
struct Damage {
  std::string object;  // key in the store: "packs/3f/3f….pack", "snapshots/snap-0…"
  std::optional<SegmentId> segment;
  std::optional<std::uint32_t> frame;
  std::optional<NodeId> node;
  std::string what;        // a line of text
  bool is_unread = false;  // it could not be read now, so it may be sound
  struct Loss {
    SnapshotId snapshot;
    std::vector<BlockRange> ranges;  // blocks of the snapshot's volume, merged; empty: the whole snapshot
    std::vector<ImageId> images;     // those that the snapshot is a disk of
    std::vector<VolumeId> volumes;   // those that stand on the snapshot
  };
  // Empty: no snapshot refers to the damaged part, or all that any refers to is sound in other packs.
  std::vector<Loss> losses;
  std::set<PackId> sound_in;  // other packs with sound copies of what snapshots need of the damaged part
};

// A recorded part of a pack that was found sound. Of a data pack: without a segment the pack as a whole,
// without a frame the segment.
struct SoundAgain {
  std::string object;
  std::optional<SegmentId> segment;
  std::optional<std::uint32_t> frame;
  std::optional<NodeId> node;
};

struct VerifyProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};
};

struct VerifyReport {
  std::uint64_t packs = 0;
  std::uint64_t segments = 0;
  std::uint64_t blocks = 0;
  std::uint64_t nodes = 0;
  std::uint64_t snapshots = 0;  // those in the bin too
  ByteCount bytes_read;
  std::vector<Damage> damages;  // those that could not be read too
  std::vector<SoundAgain> sound_again;
  std::vector<std::string> unrecorded;  // lines about damage that could not be recorded

  // Returns how many were read and are wrong, or are missing.
  std::size_t damaged() const;
};

// Verifies the whole store.
Result<VerifyReport> verify_all(const VerifyParts& parts, VerifyProgress& progress,
                                const std::stop_token& stop);
// Verifies all objects that one snapshot needs.
Result<VerifyReport> verify_snapshot(const VerifyParts& parts, SnapshotId id, VerifyProgress& progress,
                                     const std::stop_token& stop);

}  // namespace ashlar
