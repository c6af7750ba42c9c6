// LaunchTemplateCatalog: records under `launch-templates/<id>`, replaced as a whole.
#pragma once

#include "catalog/record_folder.h"
#include "document/launch_template.h"

namespace ashlar {

struct LaunchTemplateKind {
  using Record = LaunchTemplate;
  using Id = LaunchTemplateId;
  static constexpr std::string_view kFolder = "launch-templates/";
  static constexpr std::size_t kMaxBytes = kMaxLaunchTemplateBytes;
  static std::string encode(const LaunchTemplate& record) { return ashlar::encode(record); }
  static Result<LaunchTemplate> decode(ByteSpan bytes) { return decode_launch_template(as_text(bytes)); }
};

using LaunchTemplateCatalog = RecordFolder<LaunchTemplateKind>;

}  // namespace ashlar
