// RandomFile on the simulated disk; behind SimulatedFileSystem.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"
#include "simulated/simulated_disk.h"

namespace ashlar {

// `node` has sectors. The disk is locked by the caller.
std::unique_ptr<RandomFile> open_simulated_random(std::shared_ptr<SimulatedDisk> disk,
                                                  SimulatedNode::Ref node, std::string path);

}  // namespace ashlar
