// Checking packs byte by byte, past the page cache.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "format/pack_format.h"
#include "io/object_store.h"
#include "pack/pack_store.h"

namespace ashlar {

// What a check found wrong. For a data pack: a whole pack (no segment), a segment (no frame), or a frame;
// `first` and `count` are the blocks of the segment that are lost. For a meta pack: the pack, or a node.
struct PackFault {
  std::string object;
  std::optional<SegmentId> segment;
  std::optional<std::uint32_t> frame;
  std::optional<NodeId> node;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::string what;
};

struct PackTally {
  std::uint64_t bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t blocks = 0;
  std::uint64_t nodes = 0;
};

// `wanted` says which segments or nodes to read; without one, all, and then also that nothing lies between
// them. `done` is called with bytes as they are read. Whatever is wrong with the pack becomes a fault; an
// error is one of the checker's.
struct DataPackCheck {
  ObjectStore& objects;
  PackId pack;
  std::function<bool(const SegmentId&)> wanted;
  std::function<void(std::uint64_t)> done;
};
std::vector<PackFault> check_data_pack(const DataPackCheck& check, PackTally& tally);

struct MetaPackCheck {
  ObjectStore& objects;
  PackId pack;
  std::function<bool(const NodeId&)> wanted;
  std::function<void(std::uint64_t)> done;
};
std::vector<PackFault> check_meta_pack(const MetaPackCheck& check, PackTally& tally);

}  // namespace ashlar
