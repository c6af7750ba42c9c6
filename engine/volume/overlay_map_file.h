// OverlayMapFile: the durable half of an overlay's states, docs/format/overlay_map.md. It appends
// transactions, and replaces the file by a complete new one when it has grown too large or when an append
// failed. Internal to the module.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "format/overlay_map.h"
#include "io/file_system.h"

namespace ashlar {

class OverlayMapFile {
 public:
  // The result of replaying a map, besides the records that were handed out.
  struct Replayed {
    std::uint64_t sequence = 0;
    SnapshotId base;
    ByteCount size;
    std::set<std::uint64_t> opened;
    std::size_t dropped_bytes = 0;  // length of a torn tail
  };
  // Replays a map and hands each record of states to `load`. Returns kCorrupt when the first transaction is
  // damaged, or when a sound one follows a damaged one. A damaged end with no sound transaction after it was
  // never confirmed to a caller, and is dropped.
  static Result<Replayed> replay(ByteSpan bytes, VolumeId volume,
                                 const std::function<void(const OverlayRecord&)>& load);

  // Makes a map without a file: rewrite() has to be the first call that writes.
  OverlayMapFile(FileSystem& files, std::string directory, VolumeId volume)
      : files_(files), directory_(std::move(directory)), volume_(volume) {}
  // Continues the sequence of a map that was replayed.
  void continue_after(std::uint64_t sequence) { sequence_ = sequence; }

  // Returns whether the next transaction has to be a complete one.
  bool wants_rewrite() const { return !file_ || bytes_ > limit_; }
  bool failed() const { return !file_; }
  bool has_opened() const { return !opened_.empty(); }

  // Appends states and constants, durable when ok. After a failure only rewrite() is accepted.
  Status append(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records);
  Status append_opened(const std::vector<std::uint64_t>& chunks);
  Status append_closed();
  // Writes a new file with these states and the chunks that are opened.
  Status rewrite(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records);

 private:
  Status put(OverlayTransaction transaction);
  Result<std::unique_ptr<WritableFile>> write_new(ByteSpan header, ByteSpan transaction);

  FileSystem& files_;
  std::string directory_;
  VolumeId volume_;
  std::uint64_t sequence_ = 0;  // number of the newest transaction
  std::uint64_t salt_ = 0;
  SnapshotId base_;  // base and size, as the newest transaction has them
  ByteCount size_;
  std::unique_ptr<WritableFile> file_;  // null when not begun, or failed
  std::uint64_t bytes_ = 0;
  std::uint64_t limit_ = 0;
  std::set<std::uint64_t> opened_;
};

}  // namespace ashlar
