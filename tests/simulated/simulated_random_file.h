// SimulatedRandomFile: a RandomFile on the simulated disk, for SimulatedFileSystem.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"
#include "simulated/simulated_disk.h"

namespace ashlar {

// Opens `node`, which must have sectors. The caller has locked the disk.
std::unique_ptr<RandomFile> open_simulated_random(std::shared_ptr<SimulatedDisk> disk,
                                                  SimulatedNode::Ref node, std::string path);

}  // namespace ashlar
