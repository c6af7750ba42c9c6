// Source: where the blocks of a capture come from. A file, a block device, an NBD server or a raw stream.
//
// A source knows its size, says which ranges hold data (next_extent), and hands out the bytes of the ranges
// that the capture asks for (a RunReader), many reads in flight. What can't be read is reported by block,
// never filled in.
//
// Life cycle: open_source() → next_extent() from 0 to the end, RunReaders → destroyed. One capture, one
// source.
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
  kData,         // to be read
  kZero,         // known to read as zeros, allocated
  kUnallocated,  // a hole: known to read as zeros
};

// Bytes [offset, offset + bytes) are in `state`. Offsets are multiples of 4096 but for the end of the source.
struct SourceExtent {
  ByteOffset offset;
  ByteCount bytes;
  SourceState state = SourceState::kData;
};

// A piece of the source in memory: what one turn of the pipeline handles, at most kLeafBytes long.
struct Run {
  std::uint64_t ordinal = 0;  // place in the order in which the runs were asked for
  ByteOffset offset;          // a multiple of 4096
  // The bytes, padded with zeros to whole blocks at the end of the source. Owned until the Run is destroyed,
  // then the buffer serves a later run.
  MutableByteSpan bytes;
  std::vector<BlockRange> unreadable;  // blocks of the source that could not be read; their bytes are zeros
  std::shared_ptr<void> buffer;
  // Blocks that the source knows to be the parent's and did not read; their bytes mean nothing. Only where
  // the parent has a leaf with data.
  std::vector<BlockRange> unchanged;
};

struct RunRequest {
  std::uint64_t ordinal = 0;
  ByteOffset offset;  // a multiple of 4096
  ByteCount bytes;    // at most kLeafBytes; a multiple of 4096 but at the end of the source
};

// Hands out runs as they arrive, not always in order. It asks `plan` for the next request whenever it has
// room, in order, with a lock held: `plan` needs none of its own. Any number of threads may call next();
// nothing means the plan is through. Buffers are bounded (kRunBuffers): a run that is kept blocks later ones,
// never earlier ones.
class RunReader {
 public:
  using Plan = std::function<Result<std::optional<RunRequest>>()>;
  static constexpr std::size_t kRunBuffers = 12;

  RunReader() = default;
  RunReader(const RunReader&) = delete;
  RunReader& operator=(const RunReader&) = delete;
  virtual ~RunReader() = default;
  virtual Result<std::optional<Run>> next() = 0;
  // Ends calls of next() that wait for a server or a pipe, now and later, with an error; does not wait
  // itself. Reads of files and devices end by themselves. Any thread. Nothing more can be read of the source
  // then.
  virtual void cancel() {}
};

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  virtual SourceType type() const = 0;
  // What the source is called in messages; never stored.
  virtual const std::string& name() const = 0;
  // A canonical text that stays the same for the same source (path and inode, device serial or path, NBD
  // URI). Only a digest of it is stored, to find the newest snapshot of the same source. Empty: the source
  // has no identity.
  virtual std::string identity() const = 0;
  // Nothing for a stream until its reader has met its end; then the bytes read, a short last block included.
  virtual std::optional<ByteCount> size() const = 0;

  // The extent that starts at `offset` (below the size; states as the source tells them, holes trusted only
  // where the header of the implementation says so). Runs of one state may come in pieces. Not for streams:
  // all of a stream is data.
  virtual Result<SourceExtent> next_extent(ByteOffset offset) = 0;

  // Changed bytes since the parent as the source itself knows them (an NBD dirty bitmap), as sorted ranges;
  // nothing when it keeps no map.
  virtual Result<std::optional<std::vector<SourceExtent>>> changed_extents() = 0;

  // The source as it is at this moment, to be read later: a file without a name that shares its blocks and is
  // gone with the clone (FICLONE; Btrfs and XFS have it). kUnsupported where there are no clones, or no room
  // for one. It writes to the file system that the source lies on, and so waits while that is frozen.
  virtual Result<std::unique_ptr<Source>> clone() { return unsupported(name() + ": has no clones"); }

  // For a stream, requests follow each other without gaps; when it has ended, next() gives nothing. See
  // size().
  virtual Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) = 0;
};

struct SourceOptions {
  std::string dirty_bitmap;  // NBD only: name of a qemu dirty bitmap, as in qemu:dirty-bitmap:NAME
  // Streams only: reading fails unless the stream ends after exactly so many bytes.
  std::optional<ByteCount> expected_bytes = std::nullopt;
};

// `spec` is a path (file or block device), an NBD URI (nbd:, nbds:, nbd+unix:, nbds+unix:), or "-" for
// standard input.
Result<std::unique_ptr<Source>> open_source(const std::string& spec, const SourceOptions& options);

}  // namespace ashlar
