// Instances as JSON and as text.
#pragma once

#include <string>

#include "machine/instances.h"
#include "program/output.h"

namespace ashlar {

Json instance_json(const Instances& instances, const InstanceRecord& record, InstanceState state);
std::string instance_text(const Instances& instances, const InstanceRecord& record, InstanceState state);

}  // namespace ashlar
