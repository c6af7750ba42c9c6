// Names of a machine's devices, as EC2 has them: the guest's kernel has names of its own. Pages:
// docs/format/image.md, docs/format/instance.md.
#pragma once

#include <string_view>

#include "base/result.h"

namespace ashlar {

// kInvalid unless it is "/dev/" and at most 27 of [a-z0-9/].
Status check_device_name(std::string_view name);

}  // namespace ashlar
