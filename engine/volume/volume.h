// Volume: a writable disk over a snapshot, usable at once. A block is read from the overlay when the overlay
// holds it; else it is fetched from the base through the frame cache that all volumes share, verified, and
// kept in the overlay as clean.
//
//   read   overlay ─ held? ─▶ reply
//              └ absent ─▶ base: manifest ─ frame ─ verify ─▶ reply, and into the overlay
//
// A failed fetch is an error of that read, and succeeds later when the store answers. A fetched block that
// the overlay has no space for is answered all the same. Ranges may have any offset and length within size().
// Any number of threads; a call waits for the store when held() returns false.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "volume/base_image.h"
#include "volume/expected_reads.h"
#include "volume/fetch_gate.h"
#include "volume/first_reads.h"
#include "volume/overlay.h"

namespace ashlar {

class Volume {
 public:
  // The fetch unit of a read that misses: an aligned region of this many blocks, the size of a frame.
  static constexpr std::uint64_t kFetchBlocks = 16;

  // Makes the volume. `gate` is shared by all volumes of a process, and outlives them. `base` is null when
  // the overlay holds every block.
  Volume(std::unique_ptr<Overlay> overlay, std::shared_ptr<const BaseImage> base, FetchGate& gate);
  ~Volume();
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  ByteCount size() const { return overlay_->size(); }
  // Returns whether the overlay holds every block of the range: then read() does not wait for the store.
  bool held(ByteOffset offset, ByteCount bytes) const;
  // Returns whether write() and write_zeroes() need no fetch: only blocks that they cover in part matter.
  bool edges_held(ByteOffset offset, ByteCount bytes) const;

  Status read(ByteOffset offset, MutableByteSpan out);
  Status write(ByteOffset offset, ByteSpan bytes);
  Status write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap);
  Status flush() { return overlay_->flush(); }
  // Fetches the absent blocks of a range into the overlay.
  Status fetch(BlockRange range);

  Overlay& overlay() { return *overlay_; }
  const Overlay& overlay() const { return *overlay_; }
  std::shared_ptr<const BaseImage> base() const;  // null when the store is not needed
  // Makes later misses read from a snapshot of this volume that was published. Called before
  // Overlay::end_view(), so that a block is never looked up in a base that is older than the block's state.
  void set_base(std::shared_ptr<const BaseImage> base);

  struct Counters {
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> missed_reads{0};
    std::atomic<std::uint64_t> writes{0};
    std::atomic<std::uint64_t> fetched_bytes{0};
    std::atomic<std::uint64_t> stalled_ns{0};  // time that reads waited for absent blocks, summed over reads
  };
  const Counters& counters() const { return counters_; }
  FirstReads& first_reads() { return first_reads_; }
  ExpectedReads& expected_reads() { return expected_reads_; }
  FetchGate& gate() { return gate_; }

 private:
  void note_first_read(BlockRange blocks);
  BlockRange region_around(BlockRange range) const;
  Status read_absent(BlockRange absent, ByteOffset offset, MutableByteSpan out);
  Status read_base(BlockRange range, MutableByteSpan out) const;
  Status read_through(BlockRange region, ByteOffset offset, MutableByteSpan out);
  Status keep(BlockRange blocks, ByteSpan bytes);
  Status fetch_absent(BlockRange range);
  Status fetch_edges(ByteOffset offset, ByteCount bytes);

  std::unique_ptr<Overlay> overlay_;
  mutable std::mutex base_mutex_;
  std::shared_ptr<const BaseImage> base_;
  FetchGate& gate_;
  FirstReads first_reads_;
  ExpectedReads expected_reads_;
  Counters counters_;
};

}  // namespace ashlar
