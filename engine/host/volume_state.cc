#include "host/volume_state.h"

namespace ashlar {

VolumeState state_of(const Volume& volume) {
  const Overlay::Counters held = volume.overlay().counters();
  const Volume::Counters& counters = volume.counters();
  const BlockCount all = blocks_covering(volume.size());
  const BlockCount present{held.clean.value + held.dirty.value + held.zero.value};
  VolumeState state;
  state.clean_bytes = byte_count(held.clean);
  state.dirty_bytes = byte_count(held.dirty);
  state.zeroed_bytes = byte_count(held.zero);
  state.absent_bytes = byte_count(BlockCount{all.value - present.value});
  state.reads = counters.reads.load();
  state.missed_reads = counters.missed_reads.load();
  state.writes = counters.writes.load();
  state.fetched_bytes = ByteCount{counters.fetched_bytes.load()};
  state.stalled_ns = counters.stalled_ns.load();
  return state;
}

}  // namespace ashlar
