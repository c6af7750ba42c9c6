// SnapshotDisk: a snapshot as a Disk, its frames fetched from the store as they are asked for.
// Internal to the module.
#pragma once

#include "inspect/disk.h"
#include "volume/base_image.h"

namespace ashlar {

class SnapshotDisk : public Disk {
 public:
  explicit SnapshotDisk(const BaseImage& image) : image_(image) {}

  ByteCount size() const override { return image_.size(); }
  Status read(ByteOffset offset, MutableByteSpan out) const override;
  // Answers from the manifest: blocks of zeros are never stored as data.
  Result<bool> is_blank(ByteOffset offset, ByteCount bytes) const override;

 private:
  const BaseImage& image_;
};

}  // namespace ashlar
