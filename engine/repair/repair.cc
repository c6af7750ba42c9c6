#include "repair/repair.h"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "base/either_stop.h"
#include "catalog/sessions.h"
#include "codec/hash.h"
#include "repair/records.h"
#include "store/meta_store.h"

namespace ashlar {
namespace {

// The parts of a pack to be recorded as lost.
struct Lost {
  std::map<SegmentId, FrameSet> frames;
  std::set<NodeId> nodes;
};

FrameSet frames_of(const LocatedSegment& segment, const SegmentBlocks& blocks) {
  FrameSet frames;
  for (std::size_t i = 0; i < segment.directory.blocks.size(); ++i) {
    if (blocks[i] && segment.present[i]) frames[segment.frame_of(i)] = true;
  }
  return frames;
}

class Repair {
 public:
  Repair(const WriteParts& parts, const RepairSources& sources, RepairProgress& progress,
         const std::stop_token& stop)
      : parts_(parts), sources_(sources), progress_(progress), stop_(stop) {}

  // A node that was healed may show further needs under it, so it begins anew until nothing is healed.
  Result<RepairReport> run() {
    TRY(parts_.index.catch_up());
    TRY(parts_.damage.refresh());
    const auto session = TRY(Session::begin(parts_.objects, parts_.config.id, {}));
    const EitherStop either(stop_, session->lost());
    TRY(put_records());
    std::set<NodeId> seen_nodes;
    while (true) {
      report_.warnings.clear();
      RepairNeeds needs = TRY(look(either.token()));
      seen_nodes.insert(needs.nodes.begin(), needs.nodes.end());
      report_.needed_nodes = seen_nodes.size();
      for (const NodeId& id : healed_nodes_) {
        if (needs.nodes.contains(id))
          return corrupt(fmt::format(
              "manifest node {} has its id, and is no node of its place: delete the snapshots that need it",
              id.hex()));
      }
      if (left_ && needs.blocks() > *left_)
        return corrupt("blocks that were stored anew can't be read: is the disk of the store sound?");
      report_.needed_blocks = report_.healed_blocks + needs.blocks();
      if (needs.empty() || !TRY(heal(needs, session->id(), either.token()))) {
        report_.lost_blocks = needs.blocks();
        report_.lost_nodes = needs.nodes.size();
        if (!has_doubt_) TRY(record_lost(needs));
        return std::move(report_);
      }
    }
  }

 private:
  Status put_records() {
    for (const HealingStore& store : sources_.stores) {
      if (store.is_copy) note(TRY(put_snapshots_back(parts_.objects, store.objects)));
    }
    note(TRY(claim_missing_names(parts_.objects)));
    return {};
  }
  void note(const std::vector<std::string>& records) {
    report_.records.insert(report_.records.end(), records.begin(), records.end());
  }

  Result<RepairNeeds> look(const std::stop_token& stop) {
    MetaStore nodes(parts_.objects, parts_.index, &parts_.damage);
    SegmentReader segments(parts_.objects, parts_.index, &parts_.damage);
    return find_needs(parts_.snapshots, {parts_.index, nodes, segments, parts_.damage}, report_.warnings,
                      stop);
  }

  // Returns whether anything was healed.
  Result<bool> heal(RepairNeeds& needs, const SessionId& session, const std::stop_token& stop) {
    SegmentReader segments(parts_.objects, parts_.index, &parts_.damage);
    const std::set<NodeId> before = needs.nodes;
    Healing healing(parts_.objects, parts_.index, parts_.config, session, needs);
    std::vector<HealingStore> stores{{parts_.objects, parts_.index, segments}};
    for (const HealingStore& store : sources_.stores) stores.push_back(store);
    Status offered;
    for (const HealingStore& store : stores) {
      if (offered.ok() && !healing.is_done()) offered = offer_packs(healing, store, stop);
    }
    for (const VisitBlocks& visit : sources_.blocks) {
      if (offered.ok() && healing.wants_blocks())
        offered = visit([&](ByteSpan block) { return healing.offer(block_id(block), block); });
    }
    for (const NodeId& id : before) {
      if (!needs.nodes.contains(id)) healed_nodes_.insert(id);
    }
    TRY(healing.finish());
    TRY(std::move(offered));
    for (const Error& doubt : healing.doubts()) report_.warnings.push_back(doubt.text());
    has_doubt_ = has_doubt_ || !healing.doubts().empty();
    report_.healed_blocks += healing.healed_blocks();
    report_.healed_nodes += healing.healed_nodes();
    progress_.healed_bytes += healing.healed_blocks() * kBlockBytes;
    left_.reset();
    if (healing.healed_nodes() == 0) left_ = needs.blocks();  // a node may show further needs
    return healing.healed_blocks() + healing.healed_nodes() > 0;
  }

  // Brings the records in line: lost is what is needed and was found nowhere.
  Status record_lost(const RepairNeeds& needs) {
    std::map<PackId, Lost> lost;
    SegmentReader segments(parts_.objects, parts_.index, &parts_.damage);
    for (const auto& [id, need] : needs.segments) {
      for (const SegmentPlace& place : TRY(parts_.index.segment_places(id)))
        lost[place.pack].frames[id] = TRY(lost_frames(segments, place, need.blocks));
    }
    for (const NodeId& id : needs.nodes) {
      for (const NodePlace& place : TRY(parts_.index.node_places(id))) lost[place.pack].nodes.insert(id);
    }
    for (const PackId& pack : TRY(parts_.damage.catalog().list_ids())) TRY(record_lost(pack, lost[pack]));
    return {};
  }

  // At a place whose directory can't be read, all frames are lost.
  static Result<FrameSet> lost_frames(SegmentReader& segments, const SegmentPlace& place,
                                      const SegmentBlocks& blocks) {
    const auto located = segments.locate_at(place);
    return located.ok() ? frames_of(*located.value(), blocks) : ~FrameSet();
  }

  Status record_lost(const PackId& pack, const Lost& lost) {
    const auto found = parts_.damage.catalog().find(pack);
    if (!found.ok() || !found.value()) return {};  // verify makes a damaged record anew
    const auto stored = parts_.damage.catalog().update(found.value()->kind, pack, [&](DamageRecord& record) {
      record.is_given_up = false;
      if (record.is_whole && record.kind == PackKind::kData) {
        for (const auto& [id, frames] : lost.frames) record.segments[id].damaged |= frames;
      }
      if (record.is_whole && record.kind == PackKind::kMeta) {
        for (const NodeId& id : lost.nodes) record.nodes.try_emplace(id, NodeDamage::kDamaged);
      }
      for (auto& [id, damage] : record.segments) {
        const auto frames = lost.frames.find(id);
        damage.lost = frames == lost.frames.end() ? FrameSet() : damage.damaged & frames->second;
      }
      for (auto& [id, state] : record.nodes)
        state = lost.nodes.contains(id) ? NodeDamage::kLost : NodeDamage::kDamaged;
    });
    if (!stored.ok()) return stored.error();
    parts_.damage.learn(stored.value());
    return {};
  }

  const WriteParts& parts_;
  const RepairSources& sources_;
  RepairProgress& progress_;
  const std::stop_token& stop_;
  RepairReport report_;
  std::set<NodeId> healed_nodes_;
  std::optional<std::uint64_t> left_;  // blocks that are still needed, as far as this repair knows
  bool has_doubt_ = false;             // a source could not be read just now, so nothing is lost yet
};

}  // namespace

Result<RepairReport> repair(const WriteParts& parts, const RepairSources& sources, RepairProgress& progress,
                            const std::stop_token& stop) {
  return Repair(parts, sources, progress, stop).run();
}

Result<std::uint64_t> heal_from_capture(const WriteParts& parts, const SessionId& capture,
                                        const std::stop_token& stop) {
  SegmentReader segments(parts.objects, parts.index, &parts.damage);
  RepairNeeds needs;
  for (const PackId& pack : TRY(parts.damage.catalog().list_ids())) {
    const auto record = parts.damage.catalog().find(pack);
    if (!record.ok() || !record.value()) continue;
    std::set<SegmentId> damaged;
    for (const auto& [id, damage] : record.value()->segments) damaged.insert(id);
    if (record.value()->is_whole) {
      for (const SegmentEntry& entry : TRY(parts.index.pack_segments(pack))) damaged.insert(entry.id);
    }
    for (const SegmentId& id : damaged) {
      SegmentNeed need = TRY(find_recorded_need(segments, id));
      if (need.blocks.any()) needs.segments.insert_or_assign(id, std::move(need));
    }
  }
  if (needs.empty()) return 0;
  const auto session = TRY(Session::begin(parts.objects, parts.config.id, {}));
  const EitherStop either(stop, session->lost());
  Healing healing(parts.objects, parts.index, parts.config, session->id(), needs);
  TRY(offer_packs_of(healing, {parts.objects, parts.index, segments}, capture, either.token()));
  TRY(healing.finish());
  return healing.healed_blocks();
}

}  // namespace ashlar
