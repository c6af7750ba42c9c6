// Export: the disk that the NBD server serves. A volume, or a snapshot read-only.
//
// Any thread may call, and several at once: the connections of one export may lie on several loops.
//
// A call that need not wait may complete before it returns, on the caller's thread. A call that waits for the
// store or the disk completes later, on a thread of the export. So a server's loop never waits for the store,
// and a hit never waits for a miss. `done` is called exactly once; buffers live until then.
//
// Errors that reach the client: kExhausted as ENOSPC, kInvalid as EINVAL, kUnsupported as ENOTSUP, kBusy as
// ESHUTDOWN, all else as EIO.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "serve/changes_in_flight.h"

namespace ashlar {

// The properties of a range of an export, for the metadata contexts.
struct ExportExtent {
  ByteCount bytes;
  bool is_hole = false;   // takes no space in the export (base:allocation)
  bool is_zero = false;   // reads as zeros (base:allocation)
  bool is_dirty = false;  // written since the volume's base (ashlar:dirty)
};

class Export {
 public:
  using Done = std::function<void(Status)>;

  Export() = default;
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;
  virtual ~Export() = default;

  // Returns the record of changes that a server keeps when it calls write(), write_zeroes() and trim() for
  // clients.
  ChangesInFlight& changes() { return changes_; }

  virtual ByteCount size() const = 0;
  virtual bool read_only() const = 0;

  // Reads a range. Here and below, ranges lie within size() and may have any offset and length; the caller
  // has checked that, and that no change reaches a read-only export.
  virtual void read(ByteOffset offset, MutableByteSpan out, Done done) = 0;
  virtual void write(ByteOffset offset, ByteSpan bytes, Done done) = 0;
  // Makes a range read as zeros. With `may_unmap` its space may be freed; without it, the space stays
  // reserved.
  virtual void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) = 0;
  // Frees the space of a range, which reads as zeros then.
  virtual void trim(ByteOffset offset, ByteCount bytes, Done done) = 0;
  // Makes everything durable that completed before, on any connection.
  virtual void flush(Done done) = 0;
  // Fetches a range ahead of its reads; no reader depends on it, so its error fails no read.
  virtual void prefetch(ByteOffset offset, ByteCount bytes, Done done) = 0;
  // Fills `out` with the extents from `offset` on, at most `most` of them, covering at most `bytes`; at least
  // one.
  virtual void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
                       Done done) = 0;

 private:
  ChangesInFlight changes_;
};

// The exports by name. The empty name is the default export. Any thread.
class ExportList {
 public:
  ExportList() = default;
  ExportList(const ExportList&) = delete;
  ExportList& operator=(const ExportList&) = delete;
  virtual ~ExportList() = default;
  virtual std::vector<std::string> names() = 0;
  // Returns the export of a name, kNotFound when the name is unknown.
  virtual Result<std::shared_ptr<Export>> find(const std::string& name) = 0;
};

}  // namespace ashlar
