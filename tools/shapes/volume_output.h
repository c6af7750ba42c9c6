// Volumes as JSON and as text.
#pragma once

#include <string>

#include "format/volume_record.h"
#include "host/volume_state.h"
#include "program/output.h"

namespace ashlar {

Json volume_json(const VolumeRecord& record);
Json volume_state_json(const VolumeState& state);
std::string volume_text(const VolumeRecord& record, const VolumeState& state);

}  // namespace ashlar
