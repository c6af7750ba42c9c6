// Export: what the NBD server serves. A volume, or a snapshot read-only.
//
// Any thread may call, and several at once: the connections of one export may lie on several loops.
//
// A call that can be answered without waiting for the store completes before it returns, on the caller's
// thread; any other completes later, from a thread of the export's own. So a server's loop never waits for
// the store, and a hit never waits behind a miss. `done` is called exactly once; buffers live until then.
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

// What a range of an export is, for the metadata contexts.
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

  // Kept by whoever calls write(), write_zeroes() and trim() for clients.
  ChangesInFlight& changes() { return changes_; }

  virtual ByteCount size() const = 0;
  virtual bool read_only() const = 0;

  // Ranges lie within size() and may have any offset and length; the caller has checked that, and that no
  // change reaches a read-only export.
  virtual void read(ByteOffset offset, MutableByteSpan out, Done done) = 0;
  virtual void write(ByteOffset offset, ByteSpan bytes, Done done) = 0;
  // Reads as zeros afterwards. `may_unmap`: the space may be given back; without it, it stays reserved.
  virtual void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) = 0;
  // Gives space back; what it reads as is zeros.
  virtual void trim(ByteOffset offset, ByteCount bytes, Done done) = 0;
  // Everything that completed before, on any connection, is durable.
  virtual void flush(Done done) = 0;
  // Brings the range near; an error of it is nobody's loss.
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
  // kNotFound for an unknown name.
  virtual Result<std::shared_ptr<Export>> find(const std::string& name) = 0;
};

}  // namespace ashlar
