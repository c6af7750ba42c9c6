// Pack check: checks packs byte by byte, past the page cache. Internal to the module.
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

// A fault that a check found. In a data pack it concerns the whole pack (no segment), a segment (no frame),
// or a frame; `first` and `count` are the blocks of the segment that are lost. In a meta pack it concerns the
// pack, or a node.
struct PackFault {
  std::string object;
  std::optional<SegmentId> segment;
  std::optional<std::uint32_t> frame;
  std::optional<NodeId> node;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::string what;
  bool is_unread = false;  // it could not be read, so nothing is known of its bytes
  bool is_absent = false;  // no fault by itself: a collection has dropped the frame, which no snapshot needed
  bool is_wrong = false;   // bytes were read and are not those that were stored: to be recorded as damage
};

// Returns whether an error says that bytes were read and are wrong, or that an object is gone. Any other one,
// such as EIO or EMFILE, says nothing of what is stored.
bool says_damage(const Error& error);

struct PackTally {
  std::uint64_t bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t blocks = 0;
  std::uint64_t nodes = 0;
};

// Checks a pack. `wanted` selects the segments or nodes to read; without it all are read, and the footer's
// entries must leave no gap between them. `done` is called with the number of bytes that were read, and
// `checked` with each segment or node that was selected.
// Everything that is wrong becomes a fault; what could not be read too, marked as such.
struct DataPackCheck {
  ObjectStore& objects;
  PackId pack;
  std::function<bool(const SegmentId&)> wanted;
  std::function<void(std::uint64_t)> done;
  std::function<void(const SegmentId&)> checked = nullptr;
};
std::vector<PackFault> check_data_pack(const DataPackCheck& check, PackTally& tally);

struct MetaPackCheck {
  ObjectStore& objects;
  PackId pack;
  std::function<bool(const NodeId&)> wanted;
  std::function<void(std::uint64_t)> done;
  std::function<void(const NodeId&)> checked = nullptr;
};
std::vector<PackFault> check_meta_pack(const MetaPackCheck& check, PackTally& tally);

}  // namespace ashlar
