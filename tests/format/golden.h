// The objects whose encodings are in tests/fixtures/formats/: a tiny store, and one file for each encoding.
// All inputs are fixed.
//
// The fixtures are never made again: they stand for stores that people have. write_fixtures made them once.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "document/store_config.h"
#include "format/boot_pack_format.h"
#include "format/collection_record.h"
#include "format/damage_record.h"
#include "format/free_record.h"
#include "format/name_claim.h"
#include "format/node_format.h"
#include "format/pack_format.h"
#include "format/scrub_record.h"
#include "format/session_record.h"
#include "format/snapshot_life.h"
#include "format/snapshot_record.h"
#include "format/trace_record.h"
#include "format/volume_record.h"
#include "pack/pack_store.h"

namespace ashlar::golden {

StoreConfig store_config();
PackHeader data_header();
PackHeader meta_header();

// Segment A is 20 blocks of text in two compressed frames. Segment B is two blocks of noise in a raw frame,
// and one short block, padded, in a compressed frame.
std::vector<ByteVector> blocks_a();
std::vector<ByteVector> blocks_b();
EncodedSegment encode_segment(const std::vector<ByteVector>& blocks,
                              const std::vector<std::size_t>& frame_blocks);

// The volume has 8 MiB + 5 blocks + 1000 bytes, so three leaves.
ByteCount volume_size();
Leaf first_leaf();  // data of both segments, ZERO and UNALLOCATED
Leaf last_leaf();   // six blocks, the last of them short
InnerNode root();   // first_leaf, a ZERO constant, last_leaf
SnapshotRecord snapshot();
SessionRecord session();
CollectionState collection_state();
PackList pack_list();
ScrubState scrub_state();
DamageRecord damage();       // of the data pack
DamageRecord meta_damage();  // of the meta pack, which is given up as a whole
OpenSnapshot open_snapshot();
GoneSnapshot binned_snapshot();
GoneSnapshot swept_snapshot();
VolumeRecord volume();
FreeRecord free_record();
NameClaim name_claim();
TraceRecord trace();
BootPackHeader boot_pack_header();
// A leaf outside of the volume, with every kind of extent and regions both with and without a hash.
Leaf leaf_of_all_kinds();

struct File {
  std::string name;  // path below tests/fixtures/formats/
  ByteVector bytes;
};
// Encodes all files. Frames are compressed anew only when `data_pack` is empty; otherwise they are copied
// from it, since another version of zstd may compress to other bytes.
std::vector<File> files(ByteSpan data_pack);

// Returns the volume's bytes, put together without any decoder.
ByteVector volume_bytes();

}  // namespace ashlar::golden
