#include "capture/plan.h"

#include <algorithm>
#include <bit>

namespace ashlar {
namespace {

constexpr std::size_t kMaxRunsOfLeaf = 4;
static_assert(kMaxRunsOfLeaf * 2 <= RunReader::kRunBuffers);
constexpr std::uint64_t kAuditedLeaves = 64;  // leaves that an audit samples in one capture

ChildKind constant_of(SourceState state) {
  return state == SourceState::kZero ? ChildKind::kZero : ChildKind::kUnallocated;
}

BlockOrigin origin_of(SourceState state) {
  switch (state) {
    case SourceState::kData:
      return BlockOrigin::kRead;
    case SourceState::kZero:
      return BlockOrigin::kZero;
    case SourceState::kUnallocated:
      return BlockOrigin::kUnallocated;
  }
  return BlockOrigin::kRead;
}

// Returns, as a bit per region, the regions of a leaf that hold neither data nor unreadable blocks.
std::uint64_t empty_regions(const Leaf& leaf) {
  std::uint64_t empty = 0;
  std::size_t at = 0;
  std::size_t empty_until = 0;  // blocks [empty_from, empty_until) hold no data
  std::size_t empty_from = 0;
  const auto add = [&] {
    for (std::size_t r = (empty_from + kRegionBlocks - 1) / kRegionBlocks;
         (r + 1) * kRegionBlocks <= empty_until; ++r)
      empty |= std::uint64_t{1} << r;
  };
  for (const LeafExtent& extent : leaf.extents) {
    at += extent.block_count;
    if (extent.kind == ExtentKind::kZero || extent.kind == ExtentKind::kUnallocated) {
      empty_until = at;
      continue;
    }
    add();
    empty_from = empty_until = at;
  }
  add();
  return empty;
}

bool all_are(const PlannedLeaf& leaf, BlockOrigin origin) {
  return std::all_of(leaf.origins.begin(), leaf.origins.end(), [&](BlockOrigin o) { return o == origin; });
}

}  // namespace

ChangedRegions changed_regions(const std::vector<SourceExtent>& changed, BlockCount volume) {
  ChangedRegions regions;
  for (const SourceExtent& extent : changed) {
    if (extent.bytes.value == 0) continue;
    const std::uint64_t first = extent.offset.value / kRegionBytes * kRegionBlocks;
    const std::uint64_t last = (extent.offset.value + extent.bytes.value - 1) / kRegionBytes * kRegionBlocks;
    const std::uint64_t end = std::min(volume.value, last + kRegionBlocks);
    if (first >= end) continue;
    if (!regions.empty() && regions.back().end().value >= first) {
      BlockRange& previous = regions.back();
      previous.count = BlockCount{std::max(end, previous.end().value) - previous.first.value};
    } else {
      regions.push_back({Lba{first}, BlockCount{end - first}});
    }
  }
  return regions;
}

Plan::Plan(Input input) : input_(std::move(input)) {
  if (input_.size) {
    blocks_ = blocks_covering(*input_.size);
    leaves_ = leaf_count(blocks_);
  } else {
    leaves_ = leaf_count(blocks_covering(ByteCount{kMaxVolumeBytes}));
  }
  if (input_.parent) parent_cursor_.emplace(input_.nodes, *input_.parent);
  if (input_.changed && !input_.changed_is_exact)
    audit_stride_ = std::max<std::uint64_t>(1, (leaves_ + kAuditedLeaves - 1) / kAuditedLeaves);
}

Result<std::optional<RunRequest>> Plan::next_request() {
  if (has_ended()) return std::optional<RunRequest>();
  while (requests_.empty() && next_leaf_ < leaves_) {
    if (is_full()) return std::optional(RunRequest());
    TRY(plan_leaf());
  }
  if (requests_.empty()) {
    finish();
    return std::optional<RunRequest>();
  }
  const RunRequest request = requests_.front();
  requests_.pop_front();
  return std::optional(request);
}

// Plans the next leaf, or a stretch of leaves that are constant or kept and so need no reading.
Status Plan::plan_leaf() {
  if (input_.changed) {
    if (const std::uint64_t kept = kept_ahead(); kept > 0) {
      emit(KeptLeaves{kept});
      next_leaf_ += kept;
      return {};
    }
  }
  if (input_.size && !(input_.changed && parent_covers(next_leaf_))) {
    ChildKind kind = ChildKind::kUnallocated;
    if (const std::uint64_t constant = TRY(constant_ahead(kind)); constant > 0) {
      emit(ConstantLeaves{kind, constant});
      next_leaf_ += constant;
      return {};
    }
  }
  auto leaf = std::make_shared<PlannedLeaf>();
  leaf->index = next_leaf_++;
  const bool leans = TRY(load_parent(*leaf));
  if (!input_.size) {
    leaf->origins.assign(kLeafBlocks, BlockOrigin::kRead);
  } else if (input_.changed && leans) {
    return plan_changed_leaf(leaf->index, leaf);
  } else {
    leaf->origins.resize(leaf_blocks(blocks_, leaf->index).value, BlockOrigin::kRead);
    TRY(read_origins(*leaf, {Lba{leaf->index * kLeafBlocks}, BlockCount{leaf->origins.size()}}));
  }
  add_runs(*leaf);
  emit(std::move(leaf));
  return {};
}

Status Plan::plan_changed_leaf(std::uint64_t index, std::shared_ptr<PlannedLeaf> leaf) {
  const std::uint64_t first = index * kLeafBlocks;
  const std::uint64_t end = first + leaf_blocks(blocks_, index).value;
  leaf->origins.resize(end - first, BlockOrigin::kParent);
  for (std::size_t i = next_changed_; i < input_.changed->size(); ++i) {
    const BlockRange range = (*input_.changed)[i];
    if (range.first.value >= end) break;
    const std::uint64_t from = std::max(first, range.first.value);
    const std::uint64_t to = std::min(end, range.end().value);
    if (from < to) TRY(read_origins(*leaf, {Lba{from}, BlockCount{to - from}}));
  }
  if (all_are(*leaf, BlockOrigin::kParent)) {
    const bool is_read = is_audited(index) && TRY(plan_audit(index, *leaf));
    if (!is_read) {
      emit(KeptLeaves{1});
      return {};
    }
  }
  add_runs(*leaf);
  emit(std::move(leaf));
  return {};
}

// Chooses one region of a leaf that the map calls unchanged, to be read after all; each sample chooses
// another one, so that every region is read within 64 × audit_stride_ generations. Returns whether the region
// must be read. Where the parent has data, its bytes are compared with the parent's; where the parent has no
// data, the source must have none either: when its extents show that already, the region is not read.
Result<bool> Plan::plan_audit(std::uint64_t index, PlannedLeaf& leaf) {
  if (input_.changed_is_exact) return false;
  const std::size_t regions = (leaf.origins.size() + kRegionBlocks - 1) / kRegionBlocks;
  std::uint64_t candidates = leaf.parent ? leaf.parent->region_mask | empty_regions(*leaf.parent)
                                         : ~std::uint64_t{0} >> (kLeafRegions - regions);
  if (candidates == 0) return false;
  // A leaf is sampled in every audit_stride_-th generation, so the turns count those. A turn that counted all
  // generations would never come to half of the 64 regions when the stride is even.
  auto turn = (input_.generation / audit_stride_ + index) % static_cast<unsigned>(std::popcount(candidates));
  while (turn-- > 0) candidates &= candidates - 1;
  const auto region = static_cast<std::size_t>(std::countr_zero(candidates));
  const std::size_t first = region * kRegionBlocks;
  const std::size_t end = std::min(leaf.origins.size(), first + kRegionBlocks);
  if (leaf.parent && leaf.parent->region(region) != nullptr) {
    for (std::size_t block = first; block < end; ++block) leaf.origins[block] = BlockOrigin::kRead;
  } else {
    TRY(read_origins(leaf, {Lba{index * kLeafBlocks + first}, BlockCount{end - first}}));
    if (std::none_of(leaf.origins.begin(), leaf.origins.end(),
                     [](BlockOrigin o) { return o == BlockOrigin::kRead; })) {
      return false;
    }
  }
  leaf.audit = true;
  return true;
}

// Returns the number of leaves from next_leaf_ on that the map does not mention and the audit does not
// sample. It does not visit them, so a count of any size costs the same. Example: with 6400 leaves the audit
// stride is 100; in generation 7 the leaves 7, 107, 207 … are sampled, so at leaf 8 up to 99 leaves are kept
// at once.
std::uint64_t Plan::kept_ahead() {
  const auto& changed = *input_.changed;
  while (next_changed_ < changed.size() && changed[next_changed_].end().value <= next_leaf_ * kLeafBlocks) {
    ++next_changed_;
  }
  if (input_.checks_kept) return 0;
  std::uint64_t end = leaves_;
  if (next_changed_ < changed.size()) end = std::min(end, changed[next_changed_].first.value / kLeafBlocks);
  while (end > next_leaf_ && !parent_covers(end - 1)) {
    // Both volumes are covered leaf by leaf except possibly at their last leaf, which may be short; leaves
    // past the parent's end are never kept.
    const std::uint64_t parent_leaves = leaf_count(input_.parent->blocks);
    end = std::min(end - 1, std::max(next_leaf_, parent_leaves));
  }
  if (next_leaf_ >= end) return 0;
  if (input_.changed_is_exact) return end - next_leaf_;
  const std::uint64_t phase = input_.generation % audit_stride_;
  const std::uint64_t audited =
      next_leaf_ + (phase + audit_stride_ - next_leaf_ % audit_stride_) % audit_stride_;
  return std::min(end, audited) - next_leaf_;
}

bool Plan::is_audited(std::uint64_t index) const {
  return !input_.changed_is_exact && index % audit_stride_ == input_.generation % audit_stride_;
}

bool Plan::parent_covers(std::uint64_t index) const {
  if (!input_.parent || index >= leaf_count(input_.parent->blocks)) return false;
  return leaf_blocks(input_.parent->blocks, index) == leaf_blocks(blocks_, index);
}

Result<bool> Plan::load_parent(PlannedLeaf& leaf) {
  if (!input_.parent || leaf.index >= leaf_count(input_.parent->blocks)) return false;
  if (input_.size && !parent_covers(leaf.index)) return false;
  const LeafSpan span = TRY(parent_cursor_->at(leaf.index));
  if (!span.ref.is_node()) {
    leaf.parent_constant = span.ref.kind;
    return true;
  }
  auto parent = TRY(parent_cursor_->load(span));
  if (!TRY(input_.is_stored(*parent))) {
    ++lost_leaves_;
    return false;
  }
  leaf.parent = std::move(parent);
  return true;
}

// Returns the number of leaves from next_leaf_ on that lie completely in one extent without data. The short
// last leaf of the volume counts as complete.
Result<std::uint64_t> Plan::constant_ahead(ChildKind& kind) {
  const ByteOffset at = byte_offset(Lba{next_leaf_ * kLeafBlocks});
  const SourceExtent extent = TRY(extent_at(at));
  if (extent.state == SourceState::kData) return std::uint64_t{0};
  kind = constant_of(extent.state);
  const std::uint64_t end = extent.offset.value + extent.bytes.value;
  if (end >= input_.size->value) return leaves_ - next_leaf_;
  return (end - at.value) / kLeafBytes;
}

Result<SourceExtent> Plan::extent_at(ByteOffset offset) {
  const bool held =
      extent_ && extent_->offset <= offset && offset.value - extent_->offset.value < extent_->bytes.value;
  if (!held) {
    extent_ = TRY(input_.source.next_extent(offset));
    if (extent_->bytes.value == 0 || extent_->offset > offset)
      return corrupt("the source's extent map has a gap");
  }
  return *extent_;
}

Status Plan::read_origins(PlannedLeaf& leaf, BlockRange within) {
  const std::uint64_t leaf_first = leaf.index * kLeafBlocks;
  std::uint64_t block = within.first.value;
  while (block < within.end().value) {
    const SourceExtent extent = TRY(extent_at(byte_offset(Lba{block})));
    const std::uint64_t extent_end = extent.offset.value + extent.bytes.value;
    // A block is read when any byte of it is data.
    const std::uint64_t covered = extent.state == SourceState::kData || extent_end >= input_.size->value
                                      ? blocks_covering(ByteCount{extent_end}).value
                                      : std::max(block, extent_end / kBlockBytes);
    const bool straddles = covered == block;
    const std::uint64_t end = std::min(within.end().value, straddles ? block + 1 : covered);
    const BlockOrigin origin = straddles ? BlockOrigin::kRead : origin_of(extent.state);
    for (; block < end; ++block) leaf.origins[block - leaf_first] = origin;
  }
  return {};
}

// Adds a run for each stretch of regions that hold a block to be read. A leaf with more than kMaxRunsOfLeaf
// stretches is read in one run that includes the gaps: the assembler holds the buffers of a whole leaf, and
// the number of buffers is limited. The origins of the gaps' blocks stay as they are: where the bytes that
// were read contradict them, the bytes count (LeafAssembly).
void Plan::add_runs(PlannedLeaf& leaf) {
  const auto block_count = static_cast<std::uint32_t>(leaf.origins.size());
  std::vector<PlannedRun> runs;
  for (std::uint32_t first = 0; first < block_count; first += kRegionBlocks) {
    const auto end = std::min<std::uint32_t>(block_count, first + kRegionBlocks);
    const bool wanted = std::any_of(leaf.origins.begin() + first, leaf.origins.begin() + end,
                                    [](BlockOrigin o) { return o == BlockOrigin::kRead; });
    if (!wanted) continue;
    if (!runs.empty() && runs.back().first_block + runs.back().block_count == first) {
      runs.back().block_count = end - runs.back().first_block;
    } else {
      runs.push_back({0, first, end - first});
    }
  }
  if (runs.size() > kMaxRunsOfLeaf) {
    const PlannedRun last = runs.back();
    runs.resize(1);
    runs[0].block_count = last.first_block + last.block_count - runs[0].first_block;
  }
  for (PlannedRun& run : runs) add_request(leaf, run);
}

void Plan::add_request(PlannedLeaf& leaf, PlannedRun run) {
  run.ordinal = next_ordinal_++;
  leaf.runs.push_back(run);
  const std::uint64_t offset = (leaf.index * kLeafBlocks + run.first_block) * kBlockBytes;
  std::uint64_t bytes = std::uint64_t{run.block_count} * kBlockBytes;
  if (input_.size) bytes = std::min(bytes, input_.size->value - offset);
  requests_.push_back({run.ordinal, ByteOffset{offset}, ByteCount{bytes}});
}

void Plan::emit(PlanItem item) {
  const std::lock_guard lock(mutex_);
  if (const auto* leaf = std::get_if<std::shared_ptr<const PlannedLeaf>>(&item)) {
    for (const PlannedRun& run : (*leaf)->runs) places_[run.ordinal] = {*leaf, run.first_block};
  }
  items_.push_back(std::move(item));
  arrived_.notify_one();
}

bool Plan::has_ended() {
  const std::lock_guard lock(mutex_);
  return through_;
}

bool Plan::is_full() {
  const std::lock_guard lock(mutex_);
  return items_.size() >= kMaxItems;
}

Plan::RunPlace Plan::take_place(std::uint64_t ordinal) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(ordinal);
  CHECK(found != places_.end());
  RunPlace place = std::move(found->second);
  places_.erase(found);
  return place;
}

std::optional<PlanItem> Plan::next_item() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return through_ || !items_.empty(); });
  if (items_.empty()) return std::nullopt;
  PlanItem item = std::move(items_.front());
  items_.pop_front();
  return item;
}

void Plan::finish() {
  const std::lock_guard lock(mutex_);
  through_ = true;
  arrived_.notify_all();
}

void Plan::cancel() {
  const std::lock_guard lock(mutex_);
  items_.clear();
  through_ = true;
  arrived_.notify_all();
}

}  // namespace ashlar
