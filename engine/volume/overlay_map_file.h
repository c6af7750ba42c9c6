// OverlayMapFile: the durable half of an overlay's states, docs/format/overlay_map.md. It appends
// transactions, and replaces the file by a whole new one when it has grown too large or when an append
// failed.
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
  // What replaying a map came to, besides the records that were handed out.
  struct Replayed {
    std::uint64_t sequence = 0;
    SnapshotId base;
    ByteCount size;
    std::set<std::uint64_t> opened;
    std::size_t dropped_bytes = 0;  // of a torn tail
  };
  // kCorrupt when a transaction is damaged and a sound one stands behind it, or when the first one is
  // damaged. Behind the last sound one nothing was confirmed to anybody: it is dropped.
  static Result<Replayed> replay(ByteSpan bytes, VolumeId volume,
                                 const std::function<void(const OverlayRecord&)>& load);

  // rewrite() comes first.
  OverlayMapFile(FileSystem& files, std::string directory, VolumeId volume)
      : files_(files), directory_(std::move(directory)), volume_(volume) {}
  // After a replay: the sequence goes on.
  void continue_after(std::uint64_t sequence) { sequence_ = sequence; }

  // True when the next transaction has to be a whole one.
  bool wants_rewrite() const { return !file_ || bytes_ > limit_; }
  bool failed() const { return !file_; }
  bool has_opened() const { return !opened_.empty(); }

  // Durable when ok. `records` are states and constants; after a failure only rewrite() is taken.
  Status append(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records);
  Status append_opened(const std::vector<std::uint64_t>& chunks);
  Status append_closed();
  // A new file: these states, and the chunks that are opened.
  Status rewrite(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records);

 private:
  Status put(OverlayTransaction transaction);
  Result<std::unique_ptr<WritableFile>> write_new(ByteSpan header, ByteSpan transaction);

  FileSystem& files_;
  std::string directory_;
  VolumeId volume_;
  std::uint64_t sequence_ = 0;  // of the newest transaction
  std::uint64_t salt_ = 0;
  SnapshotId base_;  // as the newest transaction has them
  ByteCount size_;
  std::unique_ptr<WritableFile> file_;  // null: not begun, or failed
  std::uint64_t bytes_ = 0;
  std::uint64_t limit_ = 0;
  std::set<std::uint64_t> opened_;
};

}  // namespace ashlar
