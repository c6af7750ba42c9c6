// Instances as JSON and as text.
#pragma once

#include <string>

#include "action/instances.h"
#include "program/output.h"

namespace ashlar {

Json instance_json(const InstanceDescription& instance);
std::string instance_text(const InstanceDescription& instance);
Json changes_json(const InstanceChanges& changes);

}  // namespace ashlar
