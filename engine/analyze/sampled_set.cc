#include "analyze/sampled_set.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace ashlar {
namespace {

constexpr std::size_t kFirstSlots = 16;

constexpr bool is_full(std::size_t used, std::size_t slots) { return used >= slots / 4 * 3; }

}  // namespace

SampledSet::SampledSet(std::size_t max_slots) : slots_(kFirstSlots), max_slots_(max_slots) {
  CHECK(std::has_single_bit(max_slots) && max_slots >= kFirstSlots);
}

std::uint64_t& SampledSet::slot_of(std::uint64_t hash) {
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at] != 0 && slots_[at] != hash) at = (at + 1) & (slots_.size() - 1);
  return slots_[at];
}

SampledSet::Answer SampledSet::insert(std::uint64_t hash) {
  CHECK(hash != 0);
  if (!in_sample(hash)) return Answer::kNotSampled;
  std::uint64_t& slot = slot_of(hash);
  if (slot == hash) return Answer::kKnown;
  slot = hash;
  ++used_;
  if (is_full(used_, slots_.size())) make_room();
  return Answer::kNew;
}

void SampledSet::make_room() {
  if (slots_.size() < max_slots_) {
    refill(slots_.size() * 2);
    return;
  }
  // Another bit drops about half of evenly spread hashes; uneven ones may need several bits.
  while (is_full(used_, slots_.size())) {
    CHECK(shift_ < 63);
    ++shift_;
    refill(slots_.size());
  }
}

void SampledSet::refill(std::size_t slots) {
  std::vector<std::uint64_t> old(slots);
  old.swap(slots_);
  used_ = 0;
  for (const std::uint64_t hash : old) {
    if (hash == 0 || !in_sample(hash)) continue;
    slot_of(hash) = hash;
    ++used_;
  }
}

}  // namespace ashlar
