// Tests of what a check of a pack does to the pack's record of damage.
#include "scrub/record_findings.h"

#include <gtest/gtest.h>

namespace ashlar {
namespace {

template <class Id>
Id filled(std::uint8_t byte) {
  Id id;
  id.bytes.fill(std::byte{byte});
  return id;
}
const auto kSegmentOne = filled<SegmentId>(1);
const auto kSegmentTwo = filled<SegmentId>(2);

PackFault frame_fault(const SegmentId& segment, std::optional<std::uint32_t> frame, bool is_wrong) {
  PackFault fault;
  fault.segment = segment;
  fault.frame = frame;
  fault.is_wrong = is_wrong;
  fault.is_unread = !is_wrong;
  return fault;
}
PackFault whole_fault(bool is_wrong) {
  PackFault fault;
  fault.is_wrong = is_wrong;
  fault.is_unread = !is_wrong;
  return fault;
}
FrameSet frame_set(std::initializer_list<std::size_t> numbers) {
  FrameSet set;
  for (const std::size_t number : numbers) set[number] = true;
  return set;
}

class AfterACheck : public testing::Test {
 protected:
  AfterACheck() {
    checked_.pack = filled<PackId>(7);
    checked_.is_complete = true;
    checked_.segments = {kSegmentOne, kSegmentTwo};
    record_.pack = checked_.pack;
  }
  DamageRecord after() {
    sound_.clear();
    return after_check(record_, checked_, sound_);
  }

  CheckedPack checked_;
  DamageRecord record_;
  std::vector<SoundAgain> sound_;
};

TEST_F(AfterACheck, WrongBytesAreRecorded) {
  checked_.faults = {frame_fault(kSegmentOne, 3, true), frame_fault(kSegmentOne, 4, true),
                     frame_fault(kSegmentTwo, std::nullopt, true)};
  const DamageRecord now = after();
  EXPECT_EQ(now.segments.at(kSegmentOne).damaged, frame_set({3, 4}));
  EXPECT_TRUE(now.segments.at(kSegmentTwo).damaged.all());
  EXPECT_FALSE(now.is_whole);
  EXPECT_TRUE(sound_.empty());
}

TEST_F(AfterACheck, WhatCouldNotBeReadChangesNothing) {
  checked_.faults = {frame_fault(kSegmentOne, 3, false), whole_fault(false)};
  record_.segments[kSegmentOne].damaged = frame_set({3});
  record_.is_whole = true;
  EXPECT_EQ(after(), record_);
  EXPECT_TRUE(sound_.empty());
}

TEST_F(AfterACheck, WhatIsSoundIsTakenOutAndNamed) {
  record_.segments[kSegmentOne] = {frame_set({1, 3, 9}), frame_set({9})};
  record_.segments[kSegmentTwo].damaged.set();
  checked_.faults = {frame_fault(kSegmentOne, 3, true)};
  const DamageRecord now = after();
  ASSERT_EQ(now.segments.size(), 1U);
  EXPECT_EQ(now.segments.at(kSegmentOne), (SegmentDamage{frame_set({3}), {}}));
  ASSERT_EQ(sound_.size(), 3U);
  EXPECT_EQ(sound_[0].frame, 1U);
  EXPECT_EQ(sound_[1].frame, 9U);
  EXPECT_EQ(sound_[2].segment, kSegmentTwo);
  EXPECT_FALSE(sound_[2].frame) << "the segment as a whole";
}

TEST_F(AfterACheck, WhatWasNotCheckedStays) {
  record_.segments[kSegmentOne].damaged = frame_set({1});
  record_.segments[kSegmentTwo].damaged = frame_set({2});
  record_.is_whole = true;
  checked_.segments = {kSegmentOne};
  checked_.is_complete = false;
  const DamageRecord now = after();
  EXPECT_FALSE(now.segments.contains(kSegmentOne));
  EXPECT_EQ(now.segments.at(kSegmentTwo).damaged, frame_set({2}));
  EXPECT_TRUE(now.is_whole) << "only a check of all of it says otherwise";
}

TEST_F(AfterACheck, APackIsDamagedAsAWholeUntilACompleteCheckFindsItSound) {
  checked_.faults = {whole_fault(true)};
  record_ = after();
  EXPECT_TRUE(record_.is_whole);
  EXPECT_EQ(after(), record_);
  checked_.faults.clear();
  record_.is_given_up = true;
  EXPECT_TRUE(after().is_empty());
  EXPECT_EQ(sound_.size(), 1U);
}

TEST_F(AfterACheck, NodesAreNamedOneByOne) {
  checked_.kind = PackKind::kMeta;
  record_.kind = PackKind::kMeta;
  checked_.segments.clear();
  const auto one = filled<NodeId>(1);
  const auto two = filled<NodeId>(2);
  const auto three = filled<NodeId>(3);
  checked_.nodes = {one, two, three};
  record_.nodes = {{one, NodeDamage::kLost}, {two, NodeDamage::kDamaged}};
  PackFault fault;
  fault.node = one;
  fault.is_wrong = true;
  checked_.faults = {fault};
  fault.node = three;
  checked_.faults.push_back(fault);
  EXPECT_EQ(after().nodes,
            (std::map<NodeId, NodeDamage>{{one, NodeDamage::kLost}, {three, NodeDamage::kDamaged}}));
  ASSERT_EQ(sound_.size(), 1U);
  EXPECT_EQ(sound_[0].node, two);
}

}  // namespace
}  // namespace ashlar
