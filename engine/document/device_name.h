// Names of a machine's devices, as EC2 writes them; the guest's kernel uses other names. Pages:
// docs/format/image.md, docs/format/instance.md. Internal to the module.
#pragma once

#include <string_view>

#include "base/result.h"

namespace ashlar {

// Returns kInvalid unless the name is "/dev/" and 1 to 27 characters of [a-z0-9/].
Status check_device_name(std::string_view name);

}  // namespace ashlar
