// Plan: walks the source's extents leaf by leaf and decides, in order, how a capture makes each leaf.
// Internal to the module.
//
// clang-format off
//   constant  the whole leaf is a hole, or known to be zeros: the source is not read
//   kept      the changed-block map says that the leaf equals the parent's: the source is not read
//   leaf      some of the leaf is read, as runs of whole regions (64 KiB); its other blocks are holes, zeros
//             or the parent's
// clang-format on
//
// Invariant: the items, in order, cover every leaf of the volume once, and each run belongs to one leaf.
//
// A RunReader calls next_request(). The items that the plan passes on the way go to a queue for the
// assembler. Memory is bounded by the runs in flight and by kMaxItems, however sparse or large the source is:
// while the queue is full, the plan has no request yet.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "manifest/tree.h"
#include "source/source.h"

namespace ashlar {

// The knowledge about a block before it is read.
enum class BlockOrigin : std::uint8_t {
  kRead,         // a run brings its bytes
  kZero,         // zeros, as the source reports
  kUnallocated,  // a hole, as the source reports
  kParent,       // equal to the parent's block, as the changed-block map reports
};

struct PlannedRun {
  std::uint64_t ordinal = 0;
  std::uint32_t first_block = 0;  // counted from the start of the leaf; a multiple of kRegionBlocks
  std::uint32_t block_count = 0;
};

struct PlannedLeaf {
  std::uint64_t index = 0;
  // An entry per block; kLeafBlocks of them for a stream, even when it ends inside the leaf.
  std::vector<BlockOrigin> origins;
  std::vector<PlannedRun> runs;
  // The parent's leaf at this index when it is a node and all its blocks are stored, else null. It covers
  // as many blocks, except under a stream.
  std::shared_ptr<const Leaf> parent;
  // The kind of the parent's blocks where its subtree at this index is a constant; meaningless otherwise.
  ChildKind parent_constant = ChildKind::kUnallocated;
  bool audit = false;  // its runs check the changed-block map: they must find no change
};

struct ConstantLeaves {
  ChildKind kind = ChildKind::kUnallocated;
  std::uint64_t count = 0;
};
struct KeptLeaves {
  std::uint64_t count = 0;
};
using PlanItem = std::variant<ConstantLeaves, KeptLeaves, std::shared_ptr<const PlannedLeaf>>;

// The ranges that changed since the parent: rounded to whole regions, sorted, and neither overlapping nor
// touching.
using ChangedRegions = std::vector<BlockRange>;
// Rounds the extents of a changed-block map (sorted by offset) to regions of a volume of `volume` blocks.
ChangedRegions changed_regions(const std::vector<SourceExtent>& changed, BlockCount volume);

class Plan {
 public:
  struct Input {
    Source& source;
    NodeReader& nodes;
    std::optional<ByteCount> size;  // no value for a stream
    std::optional<TreeRoot> parent;
    std::optional<ChangedRegions> changed;  // only with a parent
    // Rotates the sample of the audit: each generation takes other leaves and regions.
    std::uint32_t generation = 0;
    bool changed_is_exact = false;  // true: the map is not audited
    // Whether leaves that the map leaves out are looked at too: the store has damage that they may need.
    bool checks_kept = false;
    // Returns whether the store has every block that a leaf of the parent names. When one is missing, the
    // plan ignores that leaf and reads the blocks instead.
    std::function<Result<bool>(const Leaf&)> is_stored;
  };
  // Items in the queue, of some 8 KB at most. One leaf more may follow.
  static constexpr std::size_t kMaxItems = 1024;

  explicit Plan(Input input);

  // Returns the next request; a request of no bytes while the queue is full and all requests for its items
  // were returned; no value when the plan is complete. The RunReader serialises the calls.
  Result<std::optional<RunRequest>> next_request();

  // The leaf that a run belongs to, and the block of the leaf at which the run starts.
  struct RunPlace {
    std::shared_ptr<const PlannedLeaf> leaf;
    std::uint32_t first_block = 0;
  };
  // Returns the place of a run and forgets it. The thread that hashes the run calls it, once per run.
  RunPlace take_place(std::uint64_t ordinal);

  // Returns the next item, in order, and waits until there is one. Returns no value when all items were taken
  // and no more will come, or after cancel().
  std::optional<PlanItem> next_item();
  // Declares that no more items will come: the plan is complete, or its reader has ended.
  void finish();
  // Drops the items that were not taken, ends the plan and wakes next_item().
  void cancel();
  // Returns the number of leaves of the parent that name a lost block; they are read as if there were no
  // parent.
  std::uint64_t lost_leaves() const { return lost_leaves_; }

 private:
  Status plan_leaf();
  Status plan_changed_leaf(std::uint64_t index, std::shared_ptr<PlannedLeaf> leaf);
  Result<std::uint64_t> constant_ahead(ChildKind& kind);
  Result<SourceExtent> extent_at(ByteOffset offset);
  Status read_origins(PlannedLeaf& leaf, BlockRange within);
  // Returns whether the leaf may take blocks from the parent's leaf, and loads that leaf when it is a node.
  Result<bool> load_parent(PlannedLeaf& leaf);
  bool parent_covers(std::uint64_t index) const;
  std::uint64_t kept_ahead();
  bool is_audited(std::uint64_t index) const;
  Result<bool> plan_audit(std::uint64_t index, PlannedLeaf& leaf);
  void add_runs(PlannedLeaf& leaf);
  void add_request(PlannedLeaf& leaf, PlannedRun run);
  void emit(PlanItem item);
  bool is_full();
  bool has_ended();

  Input input_;
  BlockCount blocks_;
  std::uint64_t leaves_ = 0;
  std::uint64_t next_leaf_ = 0;
  std::optional<LeafCursor> parent_cursor_;
  std::optional<SourceExtent> extent_;
  std::size_t next_changed_ = 0;
  std::uint64_t audit_stride_ = 0;
  std::deque<RunRequest> requests_;
  std::uint64_t next_ordinal_ = 0;
  std::atomic<std::uint64_t> lost_leaves_{0};

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<PlanItem> items_;
  std::unordered_map<std::uint64_t, RunPlace> places_;
  bool through_ = false;
};

}  // namespace ashlar
