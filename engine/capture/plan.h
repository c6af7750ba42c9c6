// The plan of a capture: walks the source's extents leaf by leaf and says, in order, what becomes of each
// leaf.
//
//   constant  all of it is a hole, or known to be zero: nothing is read
//   kept      the changed-block map says that it is the parent's: nothing is read
//   leaf      some of it is read, as runs of whole regions (64 KiB); its other blocks are holes, zeros or the
//   parent's
//
// next_request() is what a RunReader calls; the items that it passes on the way go to a queue for the
// assembler. Memory is bounded by the runs in flight, however sparse or large the source is.
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

// What is known of a block before it is read.
enum class BlockOrigin : std::uint8_t {
  kRead,         // a run brings it
  kZero,         // the source says: zeros
  kUnallocated,  // the source says: a hole
  kParent,       // the changed-block map says: as in the parent
};

struct PlannedRun {
  std::uint64_t ordinal = 0;
  std::uint32_t first_block = 0;  // in the leaf; a multiple of kRegionBlocks
  std::uint32_t block_count = 0;
};

struct PlannedLeaf {
  std::uint64_t index = 0;
  std::vector<BlockOrigin> origins;  // one a block; kLeafBlocks of them for a stream, whatever it will bring
  std::vector<PlannedRun> runs;
  std::shared_ptr<const Leaf> parent;  // the parent's leaf at this place, when it is a node of as many blocks
  bool audit = false;                  // its runs test the changed-block map: they must find nothing new
};

struct ConstantLeaves {
  ChildKind kind = ChildKind::kUnallocated;
  std::uint64_t count = 0;
};
struct KeptLeaves {
  std::uint64_t count = 0;
};
using PlanItem = std::variant<ConstantLeaves, KeptLeaves, std::shared_ptr<const PlannedLeaf>>;

// Ranges that changed since the parent, whole regions, sorted and apart.
using ChangedRegions = std::vector<BlockRange>;
ChangedRegions changed_regions(const std::vector<SourceExtent>& changed, BlockCount volume);

class Plan {
 public:
  struct Input {
    Source& source;
    NodeReader& nodes;
    std::optional<ByteCount> size;  // nothing for a stream
    std::optional<TreeRoot> parent;
    std::optional<ChangedRegions> changed;  // only with a parent
    std::uint32_t generation = 0;           // turns the audit's sample
    bool changed_is_exact = false;          // no audit
    // Whether every segment that a leaf of the parent names is still in the store. Where one is not, nothing
    // is taken from that leaf.
    std::function<Result<bool>(const Leaf&)> is_stored;
  };
  explicit Plan(Input input);

  // For the RunReader, which serialises the calls. Nothing when the plan is through.
  Result<std::optional<RunRequest>> next_request();

  // The leaf that a run belongs to, and where in it the run starts.
  struct RunPlace {
    std::shared_ptr<const PlannedLeaf> leaf;
    std::uint32_t first_block = 0;
  };
  // Taken once a run, by the thread that hashes it.
  RunPlace take_place(std::uint64_t ordinal);

  // The next item, in order; waits for it. Nothing when the plan is through, or cancelled.
  std::optional<PlanItem> next_item();
  // No more items will come: the plan is through, or its reader has ended.
  void finish();
  void cancel();
  // Leaves of the parent whose data is lost; they are read as if there were no parent.
  std::uint64_t lost_leaves() const { return lost_leaves_; }

 private:
  Status plan_leaf();
  Status plan_changed_leaf(std::uint64_t index, std::shared_ptr<PlannedLeaf> leaf);
  Result<std::uint64_t> constant_ahead(ChildKind& kind);
  Result<SourceExtent> extent_at(ByteOffset offset);
  Status read_origins(PlannedLeaf& leaf, BlockRange within);
  // Whether the leaf may lean on the parent's.
  Result<bool> load_parent(PlannedLeaf& leaf);
  bool parent_covers(std::uint64_t index) const;
  std::uint64_t kept_ahead();
  Result<bool> plan_audit(std::uint64_t index, PlannedLeaf& leaf);
  void add_runs(PlannedLeaf& leaf);
  void add_request(PlannedLeaf& leaf, PlannedRun run);
  void emit(PlanItem item);

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
