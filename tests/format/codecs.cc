#include "format/codecs.h"

#include <fstream>
#include <iterator>

#include "codec/hash.h"

namespace ashlar {
namespace {

void put_checksum(ByteVector& bytes, std::size_t at, ByteSpan covered) {
  const std::uint64_t sum = checksum64(covered);
  for (std::size_t i = 0; i < sizeof sum; ++i) bytes.at(at + i) = static_cast<std::byte>(sum >> (8 * i));
}

}  // namespace

ByteVector sealed_again(Seal seal, ByteVector bytes) {
  constexpr std::size_t checksum_bytes = sizeof(std::uint64_t);
  if (seal == Seal::kEnd) {
    const std::size_t at = bytes.size() - checksum_bytes;
    put_checksum(bytes, at, ByteSpan(bytes).first(at));
  } else if (seal == Seal::kDirectory) {
    constexpr std::size_t at = kSegmentHeaderBytes - checksum_bytes;
    ByteVector covered(bytes.begin(), bytes.begin() + at);
    covered.insert(covered.end(), bytes.begin() + kSegmentHeaderBytes, bytes.end());
    put_checksum(bytes, at, covered);
  }
  return bytes;
}

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
      {"pack header", encode(golden::data_header()), decode_and_encode<decode_pack_header>, Seal::kEnd, 8,
       true, kPackVersion},
      {"segment directory", encode(segment), decode_and_encode<decode_segment_directory>, Seal::kDirectory, 8,
       true, kPackVersion},
      {"footer of a data pack", encode_footer(std::span(segments), directories_at, data_end),
       footer_codec(data_end, decode_segment_entries), Seal::kEnd, no_version},
      {"footer of a meta pack", encode_footer(std::span(nodes), meta_end),
       footer_codec(meta_end, decode_node_entries), Seal::kEnd, no_version},
      {"leaf", encode(golden::leaf_of_all_kinds()), decode_and_encode<decode_leaf>, Seal::kNone, 1, false,
       kNodeVersion},
      {"leaf without region hashes", encode(without_region_hashes(golden::leaf_of_all_kinds())),
       decode_and_encode<decode_leaf>, Seal::kNone, 1, false, kNodeVersion},
      {"inner node", encode(golden::root()), decode_and_encode<decode_inner_node>, Seal::kNone, 1, false,
       kNodeVersion},
      {"snapshot record", encode(golden::snapshot()), decode_and_encode<decode_snapshot_record>, Seal::kEnd,
       8, true, kSnapshotVersion},
      {"volume record", encode(golden::volume()), decode_and_encode<decode_volume_record>, Seal::kEnd, 8,
       true, kVolumeVersion},
      {"free record", encode(golden::free_record()), decode_and_encode<decode_free_record>},
      {"claim of a name", encode(golden::name_claim()), decode_and_encode<decode_name_claim>},
      {"trace", encode(golden::trace()), decode_and_encode<decode_trace_record>},
      {"boot pack header", encode(golden::boot_pack_header()), decode_and_encode<decode_boot_pack_header>},
      {"session record", encode(golden::session()), decode_and_encode<decode_session_record>, Seal::kEnd, 8,
       true, kSessionVersion},
      {"collection state", encode(golden::collection_state()), decode_and_encode<decode_collection_state>,
       Seal::kEnd, 8, true, kCollectionVersion},
      {"list of packs", encode(golden::pack_list()), decode_and_encode<decode_pack_list>, Seal::kEnd, 8, true,
       kCollectionVersion},
      {"scrub state", encode(golden::scrub_state()), decode_and_encode<decode_scrub_state>, Seal::kEnd, 8,
       true, kScrubVersion},
      {"damage record", encode(golden::damage()), decode_and_encode<decode_damage_record>, Seal::kEnd, 8,
       true, kDamageVersion},
      {"damage record of a meta pack", encode(golden::meta_damage()), decode_and_encode<decode_damage_record>,
       Seal::kEnd, 8, true, kDamageVersion},
      {"open snapshot", encode(golden::open_snapshot()), reencode_snapshot_object, Seal::kEnd, 8, true,
       kSnapshotLifeVersion},
      {"binned snapshot", encode(golden::binned_snapshot()), reencode_snapshot_object, Seal::kEnd, 8, true,
       kSnapshotLifeVersion},
      {"swept snapshot", encode(golden::swept_snapshot()), reencode_snapshot_object, Seal::kEnd, 8, true,
       kSnapshotLifeVersion},
  };
}

}  // namespace ashlar
