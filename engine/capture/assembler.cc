#include "capture/assembler.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {

Result<Assembler::Outcome> Assembler::run(const std::stop_token& stop) {
  while (!source_ended_) {
    auto item = input_.plan.next_item();
    if (stop.stop_requested()) return cancelled();
    if (!item) break;
    TRY(take_item(std::move(*item)));
    if (outcome_.audit_missed) return std::move(outcome_);
  }
  const auto size = input_.source.size();
  if (!size) return cancelled();  // the stream failed before its end
  outcome_.size = *size;
  if (source_ended_) TRY(input_.builder.end_at(blocks_covering(*size)));
  TRY(input_.admission.seal());
  TRY(release());
  return std::move(outcome_);
}

Status Assembler::take_item(PlanItem item) {
  if (const auto* constant = std::get_if<ConstantLeaves>(&item)) return take_constant(*constant);
  if (const auto* kept = std::get_if<KeptLeaves>(&item)) {
    input_.progress.done_bytes += volume_blocks_in(next_leaf_, kept->count) * kBlockBytes;
    next_leaf_ += kept->count;
    return enqueue(Kept{kept->count});
  }
  const auto leaf = std::get<std::shared_ptr<const PlannedLeaf>>(item);
  return leaf->audit ? take_audit(*leaf) : take_leaf(leaf);
}

std::uint64_t Assembler::volume_blocks_in(std::uint64_t first_leaf, std::uint64_t leaves) const {
  const std::uint64_t total = blocks_covering(*input_.source.size()).value;
  return std::min(total, (first_leaf + leaves) * kLeafBlocks) - first_leaf * kLeafBlocks;
}

void Assembler::count_leaves(std::uint64_t count) {
  auto& counted = outcome_.counted;
  if (!counted.empty() && counted.back().first + counted.back().count == next_leaf_) {
    counted.back().count += count;
  } else {
    counted.push_back({next_leaf_, count});
  }
  next_leaf_ += count;
}

Status Assembler::take_constant(const ConstantLeaves& constant) {
  const std::uint64_t blocks = volume_blocks_in(next_leaf_, constant.count);
  outcome_.counts.add(extent_kind(constant.kind), blocks);
  input_.progress.done_bytes += blocks * kBlockBytes;
  count_leaves(constant.count);
  return enqueue(Constant{constant.kind, constant.count});
}

Status Assembler::take_leaf(const std::shared_ptr<const PlannedLeaf>& planned) {
  LeafAssembly assembly(planned);
  for (const PlannedRun& wanted : planned->runs) {
    auto run = input_.runs.take(wanted.ordinal);
    if (!run) {
      // A stream ended at the end of a leaf, or the capture failed.
      source_ended_ = true;
      return {};
    }
    TRY(note_run(*run));
    if (!run->run.unchanged.empty() && !planned->parent)
      return corrupt("the parent snapshot is damaged: blocks that the source takes from it are lost");
    if (run->block_count() < wanted.block_count) {
      source_ended_ = true;
      assembly.cut(run->block_count());
    }
    assembly.take(std::move(*run));
  }
  if (!assembly.is_parents()) TRY(assembly.resolve(input_.admission, input_.segments));
  outcome_.audit_missed = assembly.map_missed();
  if (outcome_.audit_missed) return {};
  outcome_.unchanged_bytes += byte_count(BlockCount{assembly.same_blocks()});
  input_.progress.done_bytes += assembly.block_count() * kBlockBytes;
  assembly.count(outcome_.counts);
  count_leaves(1);
  if (source_ended_) TRY(input_.builder.end_at(blocks_covering(*input_.source.size())));
  if (assembly.is_parents()) return enqueue(Kept{1});
  return enqueue(TRY(assembly.draft(input_.admission)));
}

Status Assembler::take_audit(const PlannedLeaf& planned) {
  for (const PlannedRun& wanted : planned.runs) {
    const auto run = input_.runs.take(wanted.ordinal);
    if (!run) return cancelled();
    TRY(note_run(*run));
    for (std::size_t i = 0; i < run->regions.size(); ++i) {
      const std::size_t region = wanted.first_block / kRegionBlocks + i;
      const bool has_data = planned.parent && planned.parent->region(region) != nullptr;
      const RegionState expected = has_data ? RegionState::kSame : RegionState::kZero;
      if (run->regions[i].state != expected) outcome_.audit_missed = true;
    }
  }
  return take_item(KeptLeaves{1});
}

Status Assembler::note_run(const HashedRun& run) {
  outcome_.read_bytes += ByteCount{run.run.bytes.size()};
  outcome_.marked_bytes += byte_count(BlockCount{run.marked_blocks()});
  for (const BlockRange& kept : run.run.unchanged)
    outcome_.read_bytes = outcome_.read_bytes - byte_count(kept.count);
  input_.progress.read_bytes = outcome_.read_bytes.value;
  const auto& lost = run.run.unreadable;
  if (lost.empty()) return {};
  if (!input_.skip_unreadable) {
    const std::uint64_t first = lost.front().first.value * kBlockBytes;
    return Error(ErrorCode::kIo, fmt::format("{}: bytes {} to {} can't be read{}", input_.source.name(),
                                             first, first + lost.front().count.value * kBlockBytes - 1,
                                             lost.size() > 1 ? " (nor others near them)" : ""))
        .about(ErrorKind::kSourceUnreadable, input_.source.name());
  }
  outcome_.unreadable.insert(outcome_.unreadable.end(), lost.begin(), lost.end());
  return {};
}

Status Assembler::enqueue(Waiting item) {
  waiting_.push_back(std::move(item));
  TRY(release());
  if (waiting_.size() < kMaxWaiting) return {};
  TRY(input_.admission.seal());
  return release();
}

// Adds to the builder, in order, the items at the front of the queue that wait for no open segment.
Status Assembler::release() {
  while (!waiting_.empty()) {
    if (const auto* draft = std::get_if<LeafDraft>(&waiting_.front())) {
      if (draft->waits_for && !input_.admission.is_sealed(*draft->waits_for)) return {};
    }
    TRY(add(std::move(waiting_.front())));
    waiting_.pop_front();
  }
  return {};
}

Status Assembler::add(Waiting item) {
  if (const auto* constant = std::get_if<Constant>(&item)) {
    return input_.builder.add_constant(constant->kind, constant->count);
  }
  if (const auto* kept = std::get_if<Kept>(&item)) return input_.builder.keep(kept->count);
  return input_.builder.add_leaf(finish_leaf(std::get<LeafDraft>(std::move(item)), input_.admission));
}

}  // namespace ashlar
