// Assembler: brings a capture into order. It takes the plan's items and the hashed runs in order, has
// Admission decide which blocks are new, and feeds the manifest builder. Internal to the module.
//
// A leaf whose newest blocks lie in the open segment waits in a queue, and so does every later item. When
// kMaxWaiting items wait, the open segment is sealed early: memory stays bounded however rare new blocks are.
//
// One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <variant>
#include <vector>

#include "base/result.h"
#include "capture/capture.h"
#include "capture/leaf_assembly.h"
#include "capture/plan.h"
#include "capture/sequencer.h"
#include "manifest/builder.h"
#include "store/admission.h"

namespace ashlar {

// A range of leaf numbers.
struct LeafRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

class Assembler {
 public:
  struct Input {
    Plan& plan;
    Sequencer& runs;
    Admission& admission;
    SegmentReader& segments;
    ManifestBuilder& builder;
    Source& source;
    bool skip_unreadable = false;
    CaptureProgress& progress;
  };
  struct Outcome {
    ByteCount size;
    BlockCounts counts;              // blocks of the leaves in `counted`
    std::vector<LeafRange> counted;  // merged ranges; the map kept the other leaves
    ByteCount read_bytes;
    ByteCount unchanged_bytes;
    ByteCount marked_bytes;  // of blocks whose SHA-256 was computed
    std::vector<BlockRange> unreadable;
    // True when a region that the map calls unchanged has changed; the rest of the outcome must not be used.
    bool audit_missed = false;
  };

  explicit Assembler(Input input) : input_(input) {}
  // Assembles until the plan ends. When an audit finds a change it returns early, without an error.
  Result<Outcome> run(const std::stop_token& stop);

 private:
  struct Constant {
    ChildKind kind;
    std::uint64_t count;
  };
  struct Kept {
    std::uint64_t count;
  };
  using Waiting = std::variant<Constant, Kept, LeafDraft>;
  static constexpr std::size_t kMaxWaiting = 4096;

  Status take_item(PlanItem item);
  Status take_constant(const ConstantLeaves& constant);
  Status take_leaf(const std::shared_ptr<const PlannedLeaf>& planned);
  Status take_audit(const PlannedLeaf& planned);
  Status note_run(const HashedRun& run);
  std::uint64_t volume_blocks_in(std::uint64_t first_leaf, std::uint64_t leaves) const;
  void count_leaves(std::uint64_t count);
  Status enqueue(Waiting item);
  Status release();
  Status add(Waiting item);

  Input input_;
  Outcome outcome_;
  std::deque<Waiting> waiting_;
  std::uint64_t next_leaf_ = 0;
  bool source_ended_ = false;
};

}  // namespace ashlar
