// Inspections of images and snapshots as people and programs see them.
#pragma once

#include <string>
#include <vector>

#include "inspect/image_inspection.h"
#include "program/output.h"

namespace ashlar {

Json inspection_json(const std::string& id, const std::vector<InspectedDevice>& devices, double seconds);
std::string inspection_text(const std::string& id, const std::vector<InspectedDevice>& devices);

}  // namespace ashlar
