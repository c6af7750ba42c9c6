#include "repair/healing.h"

#include <algorithm>

#include "codec/hash.h"
#include "format/node_format.h"
#include "store/place_errors.h"

namespace ashlar {

Healing::Healing(ObjectStore& objects, Index& index, const StoreConfig& config, const SessionId& session,
                 RepairNeeds& needs)
    : objects_(objects),
      index_(index),
      config_(config),
      session_(session),
      needs_(needs),
      encoder_(config.level),
      appender_(objects, index, config.id, session) {
  for (const auto& [id, need] : needs.segments) want(id, need);
}

Healing::~Healing() = default;

void Healing::want(const SegmentId& id, const SegmentNeed& need) {
  for (std::size_t i = 0; i < need.ids.size(); ++i) {
    if (need.blocks[i]) wanted_[need.ids[i]].emplace_back(id, static_cast<std::uint16_t>(i));
  }
}

SegmentBlocks Healing::wanted(const SegmentId& id) const {
  const auto found = needs_.segments.find(id);
  return found == needs_.segments.end() ? SegmentBlocks() : found->second.blocks;
}

std::vector<SegmentId> Healing::wanted_segments() const {
  std::vector<SegmentId> ids;
  ids.reserve(needs_.segments.size());
  for (const auto& [id, need] : needs_.segments) ids.push_back(id);
  return ids;
}

// Returns whether the blocks of a needed segment are not known by their ids yet.
bool Healing::has_unknown() const {
  return std::ranges::any_of(needs_.segments, [](const auto& entry) { return entry.second.ids.empty(); });
}

void Healing::learn(const SegmentId& id, const std::vector<BlockId>& blocks) {
  const auto found = needs_.segments.find(id);
  if (found == needs_.segments.end() || !found->second.ids.empty() || segment_id(blocks) != id) return;
  found->second.ids = blocks;
  found->second.blocks &= block_set(0, blocks.size());
  want(id, found->second);
}

Status Healing::offer(const BlockId& id, ByteSpan block) {
  const auto found = wanted_.find(id);
  if (found == wanted_.end()) return {};
  if (block_id(block) != id) return corrupt("a block that was offered does not match its id");
  const auto places = std::move(found->second);
  wanted_.erase(found);
  for (const auto& [segment, number] : places) {
    Draft& draft = drafts_[segment];
    draft.emplace(number, ByteVector(block.begin(), block.end()));
    draft_bytes_ += block.size();
    if (draft.size() < needs_.segments.at(segment).blocks.count()) continue;
    TRY(store(segment, draft));
    drafts_.erase(segment);
  }
  return draft_bytes_ < kHealingBytes ? Status() : store_drafts();
}

Status Healing::store_drafts() {
  for (const auto& [segment, draft] : drafts_) TRY(store(segment, draft));
  drafts_.clear();
  return {};
}

// Frames hold runs of blocks that were offered; all others are absent.
Status Healing::store(const SegmentId& id, const Draft& draft) {
  SegmentNeed& need = needs_.segments.at(id);
  EncodedSegment segment;
  segment.directory.id = id;
  segment.directory.blocks = need.ids;
  for (std::size_t at = 0; at < need.ids.size();) {
    const bool is_there = draft.contains(static_cast<std::uint16_t>(at));
    const std::size_t limit = is_there ? config_.frame_blocks : kMaxFrameBlocks;
    ByteVector run;
    std::size_t end = at;
    for (; end < need.ids.size() && end - at < limit; ++end) {
      const auto block = draft.find(static_cast<std::uint16_t>(end));
      if ((block != draft.end()) != is_there) break;
      if (is_there) run.insert(run.end(), block->second.begin(), block->second.end());
    }
    FrameEntry entry{0, FrameCodec::kAbsent, static_cast<std::uint8_t>(end - at), 0};
    if (is_there) {
      const auto frame = TRY(encoder_.encode(run));
      entry = {static_cast<std::uint32_t>(frame.stored.size()), frame.codec, entry.block_count,
               checksum64(frame.stored)};
      segment.payload.insert(segment.payload.end(), frame.stored.begin(), frame.stored.end());
    }
    segment.directory.frames.push_back(entry);
    at = end;
  }
  if (open_.contains(id)) {
    TRY(appender_.publish());
    open_.clear();
  }
  const std::uint64_t packs = appender_.packs_published();
  TRY(appender_.append(std::move(segment)));
  if (appender_.packs_published() == packs)
    open_.insert(id);
  else
    open_.clear();
  for (const auto& [number, block] : draft) {
    need.blocks[number] = false;
    draft_bytes_ -= block.size();
    ++healed_blocks_;
  }
  if (need.blocks.none()) needs_.segments.erase(id);
  return {};
}

Status Healing::offer_node(const NodeId& id, ByteSpan encoding) {
  if (!needs_.nodes.contains(id) || node_id(encoding) != id) return {};
  if (!nodes_) nodes_ = TRY(MetaPackWriter::create(objects_, config_.id, session_));
  TRY(nodes_->append(id, encoding));
  needs_.nodes.erase(id);
  ++healed_nodes_;
  return {};
}

void Healing::doubt(const Error& error) {
  constexpr std::size_t kMaxDoubts = 8;
  if (!says_lost(error) && doubts_.size() < kMaxDoubts) doubts_.push_back(error);
}

Status Healing::finish() {
  TRY(store_drafts());
  TRY(appender_.publish());
  open_.clear();
  if (!nodes_) return {};
  TRY(nodes_->finish());
  TRY(index_.add_meta_pack(nodes_->id(), nodes_->entries()));
  nodes_.reset();
  return {};
}

}  // namespace ashlar
