// Source: where the blocks of a capture come from: a file, a block device, an NBD server or a raw stream.
//
// A source knows its size, reports which ranges hold data (next_extent), and a RunReader returns the bytes of
// the ranges that the capture requests, with many reads in flight. Blocks that cannot be read are reported
// one by one; they are never passed off as data.
//
// Life cycle: open_source() → next_extent() from 0 to the end, RunReaders → destroyed. Each capture opens its
// own source.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

enum class SourceType : unsigned char { kFile, kDevice, kNbd, kStream };

enum class SourceState : unsigned char {
  kData,         // must be read
  kZero,         // allocated, and known to read as zeros
  kUnallocated,  // a hole, known to read as zeros
};

// Bytes [offset, offset + bytes), which are in `state`. Both ends are multiples of 4096, except at the end of
// the source.
struct SourceExtent {
  ByteOffset offset;
  ByteCount bytes;
  SourceState state = SourceState::kData;
};

// A piece of the source in memory, at most kLeafBytes long: the unit that moves between the stages of a
// capture.
struct Run {
  std::uint64_t ordinal = 0;  // position in the order of the requests
  ByteOffset offset;          // a multiple of 4096
  // The bytes, padded with zeros to whole blocks at the end of the source. The Run owns its buffer until it
  // is destroyed; then the buffer is used for a later run.
  MutableByteSpan bytes;
  std::vector<BlockRange> unreadable;  // blocks of the source that could not be read; their bytes are zeros
  std::shared_ptr<void> buffer;
  // Blocks that the source knows to equal the parent's and did not read; their bytes are undefined. Allowed
  // only where the parent has a leaf with data.
  std::vector<BlockRange> unchanged;
};

struct RunRequest {
  std::uint64_t ordinal = 0;
  ByteOffset offset;  // a multiple of 4096
  ByteCount bytes;    // at most kLeafBytes; a multiple of 4096 except at the end of the source
};

// Returns runs as they arrive, not always in order. It asks `plan` for the next request whenever it has room;
// it does so in order and holds a lock, so `plan` needs no lock of its own and must not wait for a consumer
// of runs. A request of no bytes means that there is none yet: the reader asks again soon. Any number of
// threads may call next(); it returns no value once the plan is complete. The number of buffers is bounded
// (kRunBuffers): a run that the caller keeps can delay later runs, never earlier ones.
class RunReader {
 public:
  using Plan = std::function<Result<std::optional<RunRequest>>()>;
  static constexpr std::size_t kRunBuffers = 12;

  RunReader() = default;
  RunReader(const RunReader&) = delete;
  RunReader& operator=(const RunReader&) = delete;
  virtual ~RunReader() = default;
  virtual Result<std::optional<Run>> next() = 0;
  // Makes calls of next() that wait for a server or a pipe return an error, both present and later ones; it
  // does not wait itself. Reads of files and devices end by themselves. Any thread. Afterwards the source
  // cannot be read again.
  virtual void cancel() {}
};

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  virtual SourceType type() const = 0;
  // Returns the name of the source for messages; it is never stored.
  virtual const std::string& name() const = 0;
  // Returns a canonical text that stays the same for the same source (a file's path, a device's serial number
  // or path, an NBD URI). Only a digest of it is stored, to find the newest snapshot of the same source.
  // Empty: the source has no identity.
  virtual std::string identity() const = 0;
  // Returns the size in bytes. For a stream, no value until its reader has met the end; then the number of
  // bytes read, of which the last block may be short.
  virtual std::optional<ByteCount> size() const = 0;

  // Returns the extent that starts at `offset`, which is below the size. States are those that the source
  // reports; the header of each implementation says where holes are trusted. A range of one state may come in
  // several pieces. Not for streams, which are all data.
  virtual Result<SourceExtent> next_extent(ByteOffset offset) = 0;

  // Returns the bytes changed since the parent as the source itself knows them (an NBD dirty bitmap), as
  // sorted ranges; no value when it keeps no map.
  virtual Result<std::optional<std::vector<SourceExtent>>> changed_extents() = 0;

  // Returns the source as it is at this moment, to be read later: a file without a name that shares the
  // blocks and disappears when the clone is destroyed (FICLONE; Btrfs and XFS have it). Fails with
  // kUnsupported where clones are not available or the file system is full. It writes to the source's file
  // system and therefore waits while that is frozen.
  virtual Result<std::unique_ptr<Source>> clone() { return unsupported(name() + ": has no clones"); }

  // Creates a reader. For a stream, requests must follow each other without gaps; after the end of the stream
  // next() returns no value. See size().
  virtual Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) = 0;
};

struct SourceOptions {
  std::string dirty_bitmap;  // NBD only: name of a QEMU dirty bitmap, as in qemu:dirty-bitmap:NAME
  // Streams only: reading fails unless the stream ends after exactly this many bytes.
  std::optional<ByteCount> expected_bytes = std::nullopt;
};

// Opens a source. `spec` is a path (file or block device), an NBD URI (nbd:, nbds:, nbd+unix:, nbds+unix:,
// nbd+vsock:, nbds+vsock:), or "-" for standard input.
Result<std::unique_ptr<Source>> open_source(const std::string& spec, const SourceOptions& options);

}  // namespace ashlar
