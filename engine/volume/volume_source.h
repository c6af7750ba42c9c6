// VolumeSource: a volume's changes of one instant as the source of a capture, with the volume's base as
// parent and an exact changed-block map. Only blocks that the guest changed are read, from the overlay; all
// others are the parent's, and the store is not asked for them.
#pragma once

#include <memory>

#include "base/id.h"
#include "source/source.h"
#include "volume/base_image.h"
#include "volume/overlay.h"

namespace ashlar {

class VolumeSource : public Source {
 public:
  // Makes the source. `base` is the image of view.base(). Both outlive the source.
  VolumeSource(VolumeId volume, const SnapshotView& view, const BaseImage& base);

  SourceType type() const override { return SourceType::kDevice; }
  const std::string& name() const override { return name_; }
  std::string identity() const override { return "volume " + name_; }
  std::optional<ByteCount> size() const override { return view_.size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override;
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override;
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override;

 private:
  std::string name_;
  const SnapshotView& view_;
  const BaseImage& base_;
};

}  // namespace ashlar
