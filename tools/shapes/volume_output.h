// Volumes as JSON and as text.
#pragma once

#include <string>

#include "format/volume_record.h"
#include "program/output.h"
#include "volume/volume.h"

namespace ashlar {

Json volume_json(const VolumeRecord& record);
// What the overlay holds, and what reads did since the volume was opened. `served`: by this process.
Json volume_state_json(const Volume& volume, bool served);
std::string volume_text(const VolumeRecord& record, const Json& state);

}  // namespace ashlar
