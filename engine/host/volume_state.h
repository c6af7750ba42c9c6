// VolumeState: the blocks that a volume's overlay holds, and the reads since the volume was opened.
#pragma once

#include <cstdint>
#include <string>

#include "volume/volume.h"

namespace ashlar {

struct VolumeState {
  bool served = false;          // a server has it open
  bool hydrating = false;       // and fetches what is absent
  std::string hydration_error;  // of the last hydration; empty when it went well
  // The reads that the trace of the snapshot expects, and the part of them that is fetched.
  ByteCount expected_bytes;
  ByteCount expected_fetched_bytes;
  bool boot_pack = false;  // they came from a boot pack
  ByteCount clean_bytes;
  ByteCount dirty_bytes;
  ByteCount zeroed_bytes;
  ByteCount absent_bytes;
  std::uint64_t reads = 0;
  std::uint64_t missed_reads = 0;
  std::uint64_t writes = 0;
  ByteCount fetched_bytes;
  std::uint64_t stalled_ns = 0;  // time that reads waited for the store, summed
  friend bool operator==(const VolumeState&, const VolumeState&) = default;
};

// Returns the state of an open volume, as far as the volume itself knows it.
VolumeState state_of(const Volume& volume);

}  // namespace ashlar
