// Names of exported images on the command line: their format, and "DIRECTORY:TAG" for an OCI image layout, as
// skopeo writes it after "oci:".
#pragma once

#include <string>

#include "action/image_transfers.h"

namespace ashlar {

// Returns kInvalid unless the format is bundle or oci.
Status check_image_format(const std::string& format);
// The tag may be left out. Fails with kInvalid for an empty directory and for "-".
Result<LayoutPlace> parse_layout_name(const std::string& text);

}  // namespace ashlar
