// VolumeExport and SnapshotExport: volumes and snapshots as exports.
//
// A read that the overlay holds is answered at once. Calls that wait for the disk (changes, flushes) and
// calls that wait for the store (misses) run on separate pools, so that neither delays the other, and no hit
// waits for a miss.
#pragma once

#include <memory>

#include "serve/export.h"
#include "serve/worker_pool.h"
#include "volume/volume.h"

namespace ashlar {

// The threads that all exports of a process share; they outlive the exports.
struct ExportPools {
  static constexpr unsigned kDiskThreads = 4;
  static constexpr unsigned kStoreThreads = 16;
  WorkerPool disk{kDiskThreads};
  WorkerPool store{kStoreThreads};
};

class VolumeExport : public Export {
 public:
  VolumeExport(std::shared_ptr<Volume> volume, ExportPools& pools)
      : volume_(std::move(volume)), pools_(pools) {}

  ByteCount size() const override { return volume_->size(); }
  bool read_only() const override { return false; }
  void read(ByteOffset offset, MutableByteSpan out, Done done) override;
  void write(ByteOffset offset, ByteSpan bytes, Done done) override;
  void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) override;
  void trim(ByteOffset offset, ByteCount bytes, Done done) override;
  void flush(Done done) override;
  void prefetch(ByteOffset offset, ByteCount bytes, Done done) override;
  void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
               Done done) override;

 private:
  Status list_extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out);

  std::shared_ptr<Volume> volume_;
  ExportPools& pools_;
};

class SnapshotExport : public Export {
 public:
  SnapshotExport(std::shared_ptr<const BaseImage> image, ExportPools& pools)
      : image_(std::move(image)), pools_(pools) {}

  ByteCount size() const override { return image_->size(); }
  bool read_only() const override { return true; }
  void read(ByteOffset offset, MutableByteSpan out, Done done) override;
  void write(ByteOffset offset, ByteSpan bytes, Done done) override;
  void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) override;
  void trim(ByteOffset offset, ByteCount bytes, Done done) override;
  void flush(Done done) override;
  void prefetch(ByteOffset offset, ByteCount bytes, Done done) override;
  void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
               Done done) override;

 private:
  std::shared_ptr<const BaseImage> image_;
  ExportPools& pools_;
};

}  // namespace ashlar
