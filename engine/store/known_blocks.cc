#include "store/known_blocks.h"

#include <bit>

namespace ashlar {
namespace {

constexpr std::uint32_t slot_of(std::size_t directory, std::size_t block) {
  return static_cast<std::uint32_t>(1 + directory * kSegmentBlocks + block);
}

}  // namespace

KnownBlocks::KnownBlocks(std::size_t directories) : directories_(directories) {
  // The table is at most half full, so that probes stay short.
  const std::size_t slots = std::bit_ceil(directories * kSegmentBlocks * 2);
  table_.assign(slots, 0);
  mask_ = slots - 1;
}

const BlockId& KnownBlocks::block_at(Slot slot) const {
  return directories_[(slot - 1) / kSegmentBlocks].blocks[(slot - 1) % kSegmentBlocks];
}

void KnownBlocks::insert(const BlockId& block, Slot slot) {
  std::size_t at = home(block);
  while (table_[at] != 0) {
    if (block_at(table_[at]) == block) return;  // the older place stays
    at = (at + 1) & mask_;
  }
  table_[at] = slot;
}

// Removes an entry. Linear probing with backward shift (Knuth 6.4, algorithm R): there are no tombstones.
void KnownBlocks::erase(const BlockId& block, Slot slot) {
  std::size_t hole = home(block);
  while (table_[hole] != slot) {
    if (table_[hole] == 0) return;  // absent, or the table names this id in an older directory
    hole = (hole + 1) & mask_;
  }
  std::size_t at = hole;
  while (true) {
    at = (at + 1) & mask_;
    if (table_[at] == 0) break;
    const std::size_t wanted = home(block_at(table_[at]));
    const bool stays = hole <= at ? (hole < wanted && wanted <= at) : (hole < wanted || wanted <= at);
    if (stays) continue;
    table_[hole] = table_[at];
    hole = at;
  }
  table_[hole] = 0;
}

std::size_t KnownBlocks::open_directory(SegmentHandle handle) {
  if (filling_ == next_) next_ = (next_ + 1) % directories_.size();
  const std::size_t slot = next_;
  next_ = (next_ + 1) % directories_.size();
  Directory& directory = directories_[slot];
  if (!directory.blocks.empty()) {
    for (std::size_t i = 0; i < directory.blocks.size(); ++i) erase(directory.blocks[i], slot_of(slot, i));
    dropped_.push_back(directory.handle);
  }
  directory.handle = handle;
  directory.blocks.clear();
  return slot;
}

void KnownBlocks::add(SegmentHandle handle, std::vector<BlockId> blocks, const SegmentBlocks& present) {
  CHECK(blocks.size() <= kSegmentBlocks);
  const std::size_t slot = open_directory(handle);
  directories_[slot].blocks = std::move(blocks);
  for (std::size_t i = 0; i < directories_[slot].blocks.size(); ++i) {
    if (present[i]) insert(directories_[slot].blocks[i], slot_of(slot, i));
  }
}

void KnownBlocks::append(SegmentHandle handle, const BlockId& block) {
  if (!filling_ || directories_[*filling_].handle != handle) filling_ = open_directory(handle);
  Directory& directory = directories_[*filling_];
  CHECK(directory.blocks.size() < kSegmentBlocks);
  directory.blocks.push_back(block);
  insert(block, slot_of(*filling_, directory.blocks.size() - 1));
}

std::optional<BlockPlace> KnownBlocks::find(const BlockId& block) const {
  for (std::size_t at = home(block); table_[at] != 0; at = (at + 1) & mask_) {
    if (block_at(table_[at]) != block) continue;
    const Slot slot = table_[at];
    return BlockPlace{directories_[(slot - 1) / kSegmentBlocks].handle,
                      static_cast<std::uint16_t>((slot - 1) % kSegmentBlocks)};
  }
  return std::nullopt;
}

}  // namespace ashlar
