#include "scrub/record_findings.h"

#include <algorithm>

namespace ashlar {
namespace {

// The faults of a pack by what they concern.
struct Faults {
  bool whole_wrong = false;
  bool whole_unread = false;
  std::map<SegmentId, FrameSet> wrong;
  std::map<SegmentId, FrameSet> unread;  // absent ones too: nothing is known of their bytes
  std::set<NodeId> wrong_nodes;
  std::set<NodeId> unread_nodes;
};

Faults sorted(const std::vector<PackFault>& faults) {
  Faults out;
  for (const PackFault& fault : faults) {
    if (fault.node) {
      (fault.is_wrong ? out.wrong_nodes : out.unread_nodes).insert(*fault.node);
    } else if (fault.segment) {
      FrameSet& frames = (fault.is_wrong ? out.wrong : out.unread)[*fault.segment];
      if (fault.frame) {
        frames[*fault.frame] = true;
      } else {
        frames.set();
      }
    } else {
      (fault.is_wrong ? out.whole_wrong : out.whole_unread) = true;
    }
  }
  return out;
}

FrameSet frames_at(const std::map<SegmentId, FrameSet>& sets, const SegmentId& id) {
  const auto found = sets.find(id);
  return found == sets.end() ? FrameSet() : found->second;
}

void note_sound(const std::string& object, const SegmentId& id, const SegmentDamage& before,
                const FrameSet& sound, std::vector<SoundAgain>& sound_again) {
  if (before.damaged.all()) {
    if (sound.any()) sound_again.push_back({object, id, std::nullopt, std::nullopt});
    return;
  }
  for (std::uint32_t frame = 0; frame < sound.size(); ++frame) {
    if (sound[frame]) sound_again.push_back({object, id, frame, std::nullopt});
  }
}

}  // namespace

DamageRecord after_check(DamageRecord record, const CheckedPack& checked,
                         std::vector<SoundAgain>& sound_again) {
  const Faults faults = sorted(checked.faults);
  const std::string object = pack_key(checked.kind, checked.pack);
  if (record.is_whole && checked.is_complete && !faults.whole_wrong && !faults.whole_unread) {
    record.is_whole = false;
    record.is_given_up = false;
    sound_again.push_back({object, std::nullopt, std::nullopt, std::nullopt});
  }
  record.is_whole = record.is_whole || faults.whole_wrong;
  for (const SegmentId& id : checked.segments) {
    const auto known = record.segments.find(id);
    if (known == record.segments.end()) continue;
    const FrameSet sound =
        known->second.damaged & ~frames_at(faults.wrong, id) & ~frames_at(faults.unread, id);
    note_sound(object, id, known->second, sound, sound_again);
    known->second.damaged &= ~sound;
    known->second.lost &= ~sound;
    if (known->second.damaged.none()) record.segments.erase(known);
  }
  for (const NodeId& id : checked.nodes) {
    if (faults.wrong_nodes.contains(id) || faults.unread_nodes.contains(id)) continue;
    if (record.nodes.erase(id) > 0) sound_again.push_back({object, std::nullopt, std::nullopt, id});
  }
  for (const auto& [id, frames] : faults.wrong) record.segments[id].damaged |= frames;
  for (const NodeId& id : faults.wrong_nodes) record.nodes.try_emplace(id, NodeDamage::kDamaged);
  return record;
}

// A pack that no record names and that has no fault is looked at no further: that is nearly every pack.
Result<std::vector<SoundAgain>> record_findings(DamagedFrames& damage, const CheckedPack& checked) {
  std::vector<SoundAgain> sound_again;
  const bool is_wrong = std::ranges::any_of(checked.faults, &PackFault::is_wrong);
  if (!is_wrong && !damage.is_known(checked.pack)) return sound_again;
  const DamageRecord stored =
      TRY(damage.catalog().update(checked.kind, checked.pack, [&](DamageRecord& record) {
        sound_again.clear();
        record = after_check(std::move(record), checked, sound_again);
      }));
  damage.learn(stored);
  return sound_again;
}

}  // namespace ashlar
