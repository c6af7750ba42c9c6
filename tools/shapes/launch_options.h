// The options that launch and the versions of a launch template share.
#pragma once

#include "document/launch_template.h"
#include "program/cli.h"

namespace ashlar {

void add_launch_options(Verb& verb, LaunchChoices& choices);
// All that can be told of them without the store. Paths of files are made absolute by it.
Status check_launch_options(LaunchChoices& choices);

}  // namespace ashlar
