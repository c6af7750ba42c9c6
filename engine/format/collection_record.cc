#include "format/collection_record.h"

#include <fmt/format.h>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kState = {"ASHLCOLL", "collection state", kCollectionVersion, kCollectionVersion};
constexpr BinaryRecordKind kList = {"ASHLCOND", "list of packs", kCollectionVersion, kCollectionVersion};

Error damaged(const BinaryRecordKind& kind, std::string_view what) {
  return corrupt(fmt::format("{}: {}", kind.name, what));
}

}  // namespace

ByteVector encode(const CollectionState& state) {
  ByteWriter out = begin_record(kState, kCollectionVersion);
  out.u8(static_cast<std::uint8_t>(state.phase));
  out.zeros(5);
  out.bytes(state.store.span());
  out.u64(state.revision);
  out.bytes(state.nonce.span());
  out.u64(state.epoch);
  out.bytes(state.collector.span());
  out.bytes(state.list.span());
  return finish_record(std::move(out));
}

Result<CollectionState> decode_collection_state(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kState, bytes)).fields;
  CollectionState state;
  const std::uint8_t phase = in.u8();
  if (phase > static_cast<std::uint8_t>(CollectionPhase::kFree)) return damaged(kState, "unknown phase");
  state.phase = static_cast<CollectionPhase>(phase);
  if (!in.reserved(5)) return damaged(kState, "reserved bytes are not zero");
  in.copy(state.store.span());
  state.revision = in.u64();
  in.copy(state.nonce.span());
  state.epoch = in.u64();
  in.copy(state.collector.span());
  in.copy(state.list.span());
  if (!in.done()) return damaged(kState, "wrong length");
  if (state.list.is_zero() != (state.phase == CollectionPhase::kIdle))
    return damaged(kState, "its phase and its list do not agree");
  return state;
}

ByteVector encode(const PackList& list) {
  ByteWriter out = begin_record(kList, kCollectionVersion);
  out.zeros(2);
  out.u32(static_cast<std::uint32_t>(list.packs.size()));
  out.bytes(list.store.span());
  out.u64(list.epoch);
  for (const PackName& pack : list.packs) {
    out.u8(static_cast<std::uint8_t>(pack.kind));
    out.bytes(pack.id.span());
  }
  return finish_record(std::move(out));
}

Result<PackList> decode_pack_list(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kList, bytes)).fields;
  PackList list;
  if (!in.reserved(2)) return damaged(kList, "reserved bytes are not zero");
  const std::uint32_t count = in.u32();
  in.copy(list.store.span());
  list.epoch = in.u64();
  if (!in.ok() || in.left() != count * (1 + PackId::kBytes)) return damaged(kList, "wrong length");
  list.packs.resize(count);
  for (PackName& pack : list.packs) {
    const std::uint8_t kind = in.u8();
    if (kind != static_cast<std::uint8_t>(PackKind::kData) &&
        kind != static_cast<std::uint8_t>(PackKind::kMeta))
      return damaged(kList, "unknown kind of pack");
    pack.kind = static_cast<PackKind>(kind);
    in.copy(pack.id.span());
  }
  for (std::size_t i = 1; i < list.packs.size(); ++i) {
    if (list.packs[i] <= list.packs[i - 1]) return damaged(kList, "its packs are not ascending");
  }
  return list;
}

}  // namespace ashlar
