#include "shapes/layout_name.h"

namespace ashlar {

Status check_image_format(const std::string& format) {
  if (format == "bundle" || format == "oci") return {};
  return invalid("--format is bundle or oci");
}

Result<LayoutPlace> parse_layout_name(const std::string& text) {
  const std::size_t colon = text.find(':');
  LayoutPlace place{text.substr(0, colon), {}};
  if (colon != std::string::npos) place.tag = text.substr(colon + 1);
  if (place.directory.empty() || place.directory == "-")
    return invalid("an OCI layout is named as DIRECTORY:TAG");
  return place;
}

}  // namespace ashlar
