// What is shown of images on their way from store to store.
#pragma once

#include "program/output.h"
#include "transfer/copy_image.h"

namespace ashlar {

Json transfer_json(const ImageCopyReport& report, double seconds);

}  // namespace ashlar
