#include "repair/other_packs.h"

#include <functional>

#include "pack/pack_store.h"

namespace ashlar {
namespace {

Status offer_nodes(Healing& healing, const HealingStore& from, const std::stop_token& stop) {
  const std::set<NodeId> wanted = healing.wanted_nodes();  // an offer changes it
  for (const NodeId& id : wanted) {
    if (stop.stop_requested()) return cancelled();
    for (const NodePlace& place : TRY(from.index.node_places(id))) {
      const auto pack = PackReader::open(from.objects, PackKind::kMeta, place.pack);
      const auto encoding =
          pack.ok() ? pack.value()->read_node(place.entry) : Result<ByteVector>(pack.error());
      if (encoding.ok()) {
        TRY(healing.offer_node(id, encoding.value()));
      } else {
        healing.doubt(encoding.error());
      }
    }
  }
  return {};
}

// Offers the blocks of a located segment that `wanted` names, as far as they can be read.
Status offer_blocks(Healing& healing, SegmentReader& segments, const LocatedSegment& segment,
                    const SegmentBlocks& wanted) {
  AlignedBuffer block(kBlockBytes);
  for (std::size_t i = 0; i < segment.directory.blocks.size(); ++i) {
    if (!wanted[i] || !healing.wants(segment.directory.blocks[i])) continue;
    const Status read = segments.read(segment, i, 1, block.span());
    if (read.ok()) {
      TRY(healing.offer(segment.directory.blocks[i], block.span()));
    } else {
      healing.doubt(read.error());
    }
  }
  return {};
}

Status offer_segments(Healing& healing, const HealingStore& from, const std::stop_token& stop) {
  for (const SegmentId& id : healing.wanted_segments()) {
    if (stop.stop_requested()) return cancelled();
    const auto places = from.segments.locate_all(id);
    if (!places.ok()) {
      healing.doubt(places.error());
      continue;
    }
    healing.learn(id, places.value().front()->directory.blocks);
    for (const auto& place : places.value())
      TRY(offer_blocks(healing, from.segments, *place, healing.wanted(id)));
  }
  return {};
}

Result<DataPackTail> read_tail(ObjectStore& objects, const PackId& pack) {
  return TRY(WholePackReader::open(objects, PackKind::kData, pack))->read_tail();
}

Status offer_pack(Healing& healing, const HealingStore& from, const PackId& id, const DataPackTail& tail) {
  for (const SegmentEntry& entry : tail.entries()) {
    auto directory = tail.directory(entry);
    if (!directory.ok()) continue;
    const auto segment = locate_segment({id, entry}, directory.take());
    TRY(offer_blocks(healing, from.segments, *segment, segment->present));
  }
  return {};
}

Status offer_any_blocks(Healing& healing, const HealingStore& from,
                        const std::function<bool(const PackId&)>& is_asked, const std::stop_token& stop) {
  for (const ListedPack& pack : TRY(list_packs(from.objects, PackKind::kData))) {
    if (stop.stop_requested()) return cancelled();
    if (!healing.wants_blocks()) return {};
    if (!is_asked(pack.id)) continue;
    const auto tail = read_tail(from.objects, pack.id);
    if (tail.ok()) {
      TRY(offer_pack(healing, from, pack.id, tail.value()));
    } else {
      healing.doubt(tail.error());
    }
  }
  return {};
}

}  // namespace

Status offer_packs(Healing& healing, const HealingStore& from, const std::stop_token& stop) {
  TRY(offer_nodes(healing, from, stop));
  TRY(offer_segments(healing, from, stop));
  return offer_any_blocks(
      healing, from, [](const PackId&) { return true; }, stop);
}

Status offer_packs_of(Healing& healing, const HealingStore& from, const SessionId& session,
                      const std::stop_token& stop) {
  return offer_any_blocks(
      healing, from, [&](const PackId& pack) { return written_by(pack, session); }, stop);
}

}  // namespace ashlar
