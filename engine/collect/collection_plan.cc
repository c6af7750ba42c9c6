#include "collect/collection_plan.h"

#include <algorithm>

namespace ashlar {

namespace {

Verdict judge(const PackUse& use, unsigned max_live_percent) {
  if (use.is_open) return Verdict::kOpen;
  if (use.is_damaged) return Verdict::kDamaged;
  const bool is_low = use.live_bytes < use.bytes && use.live_bytes * 100 < use.bytes * max_live_percent;
  if (use.live_bytes > 0 && !is_low && !use.has_damage) return Verdict::kKeep;
  if (use.may_be_resumed) return Verdict::kPassOver;
  return use.live_bytes == 0 ? Verdict::kFree : Verdict::kRewrite;
}

}  // namespace

CollectionPlan plan_collection(std::vector<PackUse> packs, unsigned max_live_percent) {
  CollectionPlan plan;
  std::ranges::sort(packs, {}, &PackUse::pack);
  plan.packs.reserve(packs.size());
  for (const PackUse& use : packs) plan.packs.push_back({use, judge(use, max_live_percent)});
  return plan;
}

CollectionPlan::Sum CollectionPlan::sum(Verdict verdict) const {
  Sum sum;
  for (const PlannedPack& pack : packs) {
    if (pack.verdict != verdict) continue;
    ++sum.packs;
    sum.bytes += pack.use.bytes;
    sum.live_bytes += pack.use.live_bytes;
  }
  return sum;
}

std::uint64_t CollectionPlan::freed_bytes() const {
  const Sum rewritten = sum(Verdict::kRewrite);
  return sum(Verdict::kFree).bytes + rewritten.bytes - rewritten.live_bytes;
}

}  // namespace ashlar
