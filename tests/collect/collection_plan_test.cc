#include "collect/collection_plan.h"

#include <gtest/gtest.h>

namespace ashlar {
namespace {

PackUse use(std::uint8_t name, std::uint64_t bytes, std::uint64_t live) {
  PackUse use;
  use.pack.id.bytes[0] = static_cast<std::byte>(name);
  use.bytes = bytes;
  use.live_bytes = live;
  return use;
}

Verdict verdict(const PackUse& pack, unsigned max_live) {
  return plan_collection({pack}, max_live).packs.front().verdict;
}

TEST(Plans, WhatIsNeededDecides) {
  EXPECT_EQ(verdict(use(1, 1000, 0), 80), Verdict::kFree);
  EXPECT_EQ(verdict(use(1, 1000, 1), 80), Verdict::kRewrite);
  EXPECT_EQ(verdict(use(1, 1000, 799), 80), Verdict::kRewrite);
  EXPECT_EQ(verdict(use(1, 1000, 800), 80), Verdict::kKeep);
  EXPECT_EQ(verdict(use(1, 1000, 1), 0), Verdict::kKeep);
  EXPECT_EQ(verdict(use(1, 1000, 0), 0), Verdict::kFree);
  EXPECT_EQ(verdict(use(1, 1000, 999), 100), Verdict::kRewrite);
  EXPECT_EQ(verdict(use(1, 1000, 1000), 100), Verdict::kKeep) << "it would not get smaller";
  EXPECT_EQ(verdict(use(1, 1000, 1200), 100), Verdict::kKeep);
}

TEST(Plans, WhatARunMayResumeIsPassedOver) {
  PackUse resumable = use(1, 1000, 0);
  resumable.may_be_resumed = true;
  EXPECT_EQ(verdict(resumable, 80), Verdict::kPassOver);
  resumable.live_bytes = 100;
  EXPECT_EQ(verdict(resumable, 80), Verdict::kPassOver);
  resumable.live_bytes = 900;
  EXPECT_EQ(verdict(resumable, 80), Verdict::kKeep);
}

TEST(Plans, ADamagedPackStays) {
  PackUse damaged = use(1, 1000, 0);
  damaged.is_damaged = true;
  EXPECT_EQ(verdict(damaged, 80), Verdict::kDamaged);
}

TEST(Plans, SumsAndOrder) {
  const CollectionPlan plan = plan_collection({use(3, 100, 0), use(1, 1000, 300), use(2, 50, 50)}, 80);
  ASSERT_EQ(plan.packs.size(), 3U);
  EXPECT_EQ(plan.packs[0].use.bytes, 1000U);
  EXPECT_EQ(plan.packs[2].use.bytes, 100U);
  EXPECT_EQ(plan.freed_bytes(), 100U + 700U);
  EXPECT_EQ(plan.sum(Verdict::kRewrite).live_bytes, 300U);
  EXPECT_EQ(plan.sum(Verdict::kKeep).packs, 1U);
}

}  // namespace
}  // namespace ashlar
