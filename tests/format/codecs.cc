#include "format/codecs.h"

#include <fstream>
#include <iterator>

namespace ashlar {

std::vector<NamedFormat> binary_formats() {
  const auto segment = golden::encode_segment(golden::blocks_b(), {2, 1}).directory;
  constexpr std::uint64_t directories_at = 15000;
  constexpr std::uint64_t data_end = 20000;
  const SegmentEntry segment_entry{segment.id,
                                   kPackHeaderBytes,
                                   directories_at,
                                   static_cast<std::uint32_t>(segment.payload_bytes()),
                                   static_cast<std::uint32_t>(segment.encoded_bytes()),
                                   3};
  const ByteVector node = encode(golden::root());
  const NodeEntry node_entry{node_id(node), kPackHeaderBytes, static_cast<std::uint32_t>(node.size())};
  const std::vector<SegmentEntry> segments(2, segment_entry);
  const std::vector<NodeEntry> nodes(2, node_entry);
  constexpr std::uint64_t meta_end = 1000;
  // A footer carries no version: the header of its pack does.
  constexpr std::size_t no_version = 0;
  return {
      {"pack header", encode(golden::data_header()), decode_and_encode<decode_pack_header>, true, 8, true,
       kPackVersion},
      {"segment directory", encode(segment), decode_and_encode<decode_segment_directory>, true, 8, true,
       kPackVersion},
      {"footer of a data pack", encode_footer(std::span(segments), directories_at, data_end),
       footer_codec(data_end, decode_segment_entries), true, no_version},
      {"footer of a meta pack", encode_footer(std::span(nodes), meta_end),
       footer_codec(meta_end, decode_node_entries), true, no_version},
      {"leaf", encode(golden::leaf_of_all_kinds()), decode_and_encode<decode_leaf>, false, 1, false,
       kNodeVersion},
      {"leaf without region hashes", encode(without_region_hashes(golden::leaf_of_all_kinds())),
       decode_and_encode<decode_leaf>, false, 1, false, kNodeVersion},
      {"inner node", encode(golden::root()), decode_and_encode<decode_inner_node>, false, 1, false,
       kNodeVersion},
      {"snapshot record", encode(golden::snapshot()), decode_and_encode<decode_snapshot_record>, true, 8,
       true, kSnapshotVersion},
      {"volume record", encode(golden::volume()), decode_and_encode<decode_volume_record>, true, 8, true,
       kVolumeVersion},
      {"trace", encode(golden::trace()), decode_and_encode<decode_trace_record>},
      {"boot pack header", encode(golden::boot_pack_header()), decode_and_encode<decode_boot_pack_header>},
      {"session record", encode(golden::session()), decode_and_encode<decode_session_record>, true, 8, true,
       kSessionVersion},
      {"collection state", encode(golden::collection_state()), decode_and_encode<decode_collection_state>,
       true, 8, true, kCollectionVersion},
      {"list of packs", encode(golden::pack_list()), decode_and_encode<decode_pack_list>, true, 8, true,
       kCollectionVersion},
      {"damage record", encode(golden::damage()), decode_and_encode<decode_damage_record>, true, 8, true,
       kDamageVersion},
      {"damage record of a meta pack", encode(golden::meta_damage()), decode_and_encode<decode_damage_record>,
       true, 8, true, kDamageVersion},
      {"open snapshot", encode(golden::open_snapshot()), reencode_snapshot_object, true, 8, true,
       kSnapshotLifeVersion},
      {"binned snapshot", encode(golden::binned_snapshot()), reencode_snapshot_object, true, 8, true,
       kSnapshotLifeVersion},
      {"swept snapshot", encode(golden::swept_snapshot()), reencode_snapshot_object, true, 8, true,
       kSnapshotLifeVersion},
  };
}

}  // namespace ashlar
