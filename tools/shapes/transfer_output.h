// Transfer output: copies, exports and imports of images, as JSON and as progress.
#pragma once

#include "program/output.h"
#include "transfer/copy_image.h"

namespace ashlar {

Json transfer_json(const ImageCopyReport& report, double seconds);

}  // namespace ashlar
