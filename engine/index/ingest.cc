#include "index/ingest.h"

#include "pack/pack_store.h"

namespace ashlar {
namespace {

Result<IngestedPack> ingest_segments(const WholePackReader& reader, std::uint32_t hook_rate) {
  IngestedPack ingested;
  std::vector<PackedSegment> segments;
  const DataPackTail tail = TRY(reader.read_tail());
  for (const SegmentEntry& entry : tail.entries()) {
    auto directory = tail.directory(entry);
    if (!directory.ok() && directory.error().code() != ErrorCode::kCorrupt) return directory.take_error();
    if (!directory.ok()) ++ingested.damaged_segments;
    segments.push_back({entry, directory.ok() ? directory.take().blocks : std::vector<BlockId>()});
  }
  ingested.rows = rows_of(reader.id(), segments, hook_rate);
  return ingested;
}

}  // namespace

Result<IngestedPack> ingest_pack(ObjectStore& objects, PackKind kind, const PackId& pack,
                                 std::uint32_t hook_rate) {
  const auto reader = TRY(WholePackReader::open(objects, kind, pack));
  if (kind == PackKind::kData) return ingest_segments(*reader, hook_rate);
  return IngestedPack{rows_of(pack, TRY(reader->nodes())), 0};
}

}  // namespace ashlar
