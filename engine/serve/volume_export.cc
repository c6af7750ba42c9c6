#include "serve/volume_export.h"

#include <algorithm>
#include <cstring>

namespace ashlar {
namespace {

constexpr std::uint64_t kStepBlocks = kLeafBlocks;        // 4 MiB
constexpr std::uint64_t kStateBlocks = 64 * kStepBlocks;  // blocks whose states are listed at a time
constexpr std::size_t kRunsAtOnce = 1024;

// Collects extents of blocks, cut to [offset, offset + bytes) and merged.
class ExtentList {
 public:
  ExtentList(ByteOffset offset, ByteCount bytes, std::size_t most)
      : at_(offset.value), end_(offset.value + bytes.value), most_(most) {}

  bool full() const { return at_ >= end_ || extents_.size() > most_; }
  // Adds an extent, which continues where the last one ended: a range that was not reported is never passed
  // over.
  void add(BlockRange blocks, const ExportExtent& what) {
    if (full()) return;
    CHECK(byte_offset(blocks.first).value <= at_);
    const std::uint64_t stop = std::min(byte_offset(blocks.end()).value, end_);
    if (stop <= at_) return;
    const ByteCount bytes{stop - at_};
    at_ = stop;
    if (!extents_.empty()) {
      ExportExtent& last = extents_.back();
      if (last.is_hole == what.is_hole && last.is_zero == what.is_zero && last.is_dirty == what.is_dirty) {
        last.bytes += bytes;
        return;
      }
    }
    extents_.push_back(what);
    extents_.back().bytes = bytes;
  }
  std::vector<ExportExtent> take() {
    if (extents_.size() > most_) extents_.resize(most_);
    return std::move(extents_);
  }

 private:
  std::uint64_t at_;
  std::uint64_t end_;
  std::size_t most_;
  std::vector<ExportExtent> extents_;
};

// Adds the extents of the base in a range.
Status add_base(const BaseImage& base, BlockRange range, ExtentList& list) {
  for (Lba at = range.first; at < range.end() && !list.full();) {
    const auto runs = TRY(base.runs({at, range.end() - at}, kRunsAtOnce));
    CHECK(!runs.empty());
    for (const BaseRun& run : runs) {
      const bool data = run.kind == ExtentKind::kData || run.kind == ExtentKind::kUnreadable;
      list.add({at, run.count}, {{}, run.kind == ExtentKind::kUnallocated, !data, false});
      at += run.count;
    }
  }
  return {};
}

// Adds the extents of the overlay in a range, and those of the base where the overlay holds no block.
Status add_states(const Volume& volume, const BaseImage* base, BlockRange range, ExtentList& list) {
  for (const HoldRun& run : volume.overlay().states(range)) {
    switch (run.hold) {
      case BlockHold::kAbsent:
        if (base) {
          TRY(add_base(*base, run.blocks, list));
        } else {
          list.add(run.blocks, {{}, true, true, false});
        }
        break;
      case BlockHold::kClean:
        list.add(run.blocks, {});
        break;
      case BlockHold::kDirty:
        list.add(run.blocks, {{}, false, false, true});
        break;
      case BlockHold::kZero:
        list.add(run.blocks, {{}, true, true, true});
        break;
    }
  }
  return {};
}

// Reads any offset and length, in steps: so the buffer beside the caller's is bounded.
Status read_image(const BaseImage& image, ByteOffset offset, MutableByteSpan out) {
  const BlockRange blocks = blocks_of(offset, ByteCount{out.size()});
  AlignedBuffer buffer(std::min(blocks.count.value, kStepBlocks) * kBlockBytes);
  const std::uint64_t end = offset.value + out.size();
  for (Lba at = blocks.first; at < blocks.end();) {
    const BlockRange step{at, BlockCount{std::min(kStepBlocks, (blocks.end() - at).value)}};
    const MutableByteSpan bytes = buffer.span().first(byte_count(step.count).value);
    TRY(image.read(step, bytes));
    const std::uint64_t from = std::max(offset.value, byte_offset(step.first).value);
    const std::uint64_t to = std::min(end, byte_offset(step.end()).value);
    std::memcpy(out.data() + (from - offset.value), bytes.data() + (from - byte_offset(step.first).value),
                to - from);
    at = step.end();
  }
  return {};
}

// Fails a change of a read-only export. The server refuses such changes before they come here.
void refuse(const Export::Done& done) { done(unsupported("a snapshot can't be changed")); }

}  // namespace

void VolumeExport::read(ByteOffset offset, MutableByteSpan out, Done done) {
  if (volume_->held(offset, ByteCount{out.size()})) return done(volume_->read(offset, out));
  pools_.store.run([this, offset, out, done = std::move(done)] { done(volume_->read(offset, out)); });
}

void VolumeExport::write(ByteOffset offset, ByteSpan bytes, Done done) {
  WorkerPool& pool = volume_->edges_held(offset, ByteCount{bytes.size()}) ? pools_.disk : pools_.store;
  pool.run([this, offset, bytes, done = std::move(done)] { done(volume_->write(offset, bytes)); });
}

void VolumeExport::write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) {
  WorkerPool& pool = volume_->edges_held(offset, bytes) ? pools_.disk : pools_.store;
  pool.run([this, offset, bytes, may_unmap, done = std::move(done)] {
    done(volume_->write_zeroes(offset, bytes, may_unmap));
  });
}

void VolumeExport::trim(ByteOffset offset, ByteCount bytes, Done done) {
  write_zeroes(offset, bytes, true, std::move(done));
}

void VolumeExport::flush(Done done) {
  pools_.disk.run([this, done = std::move(done)] { done(volume_->flush()); });
}

void VolumeExport::prefetch(ByteOffset offset, ByteCount bytes, Done done) {
  pools_.store.run(
      [this, offset, bytes, done = std::move(done)] { done(volume_->fetch(blocks_of(offset, bytes))); });
}

void VolumeExport::extents(ByteOffset offset, ByteCount bytes, std::size_t most,
                           std::vector<ExportExtent>& out, Done done) {
  if (volume_->held(offset, bytes)) return done(list_extents(offset, bytes, most, out));
  pools_.store.run([this, offset, bytes, most, &out, done = std::move(done)] {
    done(list_extents(offset, bytes, most, out));
  });
}

Status VolumeExport::list_extents(ByteOffset offset, ByteCount bytes, std::size_t most,
                                  std::vector<ExportExtent>& out) {
  ExtentList list(offset, bytes, most);
  const auto base = volume_->base();
  const BlockRange range = blocks_of(offset, bytes);
  for (Lba at = range.first; at < range.end() && !list.full();) {
    const BlockRange step{at, BlockCount{std::min(kStateBlocks, (range.end() - at).value)}};
    TRY(add_states(*volume_, base.get(), step, list));
    at = step.end();
  }
  out = list.take();
  return {};
}

void SnapshotExport::read(ByteOffset offset, MutableByteSpan out, Done done) {
  pools_.store.run([this, offset, out, done = std::move(done)] { done(read_image(*image_, offset, out)); });
}

void SnapshotExport::write(ByteOffset /*offset*/, ByteSpan /*bytes*/, Done done) { refuse(done); }
void SnapshotExport::write_zeroes(ByteOffset /*offset*/, ByteCount /*bytes*/, bool /*may_unmap*/, Done done) {
  refuse(done);
}
void SnapshotExport::trim(ByteOffset /*offset*/, ByteCount /*bytes*/, Done done) { refuse(done); }
void SnapshotExport::flush(Done done) { done({}); }

void SnapshotExport::prefetch(ByteOffset offset, ByteCount bytes, Done done) {
  pools_.store.run([this, offset, bytes, done = std::move(done)] {
    const BlockRange blocks = blocks_of(offset, bytes);
    AlignedBuffer buffer(std::min(blocks.count.value, kStepBlocks) * kBlockBytes);
    Status read;
    for (Lba at = blocks.first; at < blocks.end() && read.ok();) {
      const BlockRange step{at, BlockCount{std::min(kStepBlocks, (blocks.end() - at).value)}};
      read = image_->read(step, buffer.span().first(byte_count(step.count).value));
      at = step.end();
    }
    done(std::move(read));
  });
}

void SnapshotExport::extents(ByteOffset offset, ByteCount bytes, std::size_t most,
                             std::vector<ExportExtent>& out, Done done) {
  pools_.store.run([this, offset, bytes, most, &out, done = std::move(done)] {
    ExtentList list(offset, bytes, most);
    Status added = add_base(*image_, blocks_of(offset, bytes), list);
    out = list.take();
    done(std::move(added));
  });
}

}  // namespace ashlar
