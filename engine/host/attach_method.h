// Attach methods: the two ways in which a volume that is served becomes a block device of this host.
// Internal to the module.
//
//   kernel NBD     nbd-client, where the kernel has the module: /dev/nbdN
//   FUSE and loop  nbdfuse shows the volume as a file, and a loop device stands over it: /dev/loopN
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "machine/command_line.h"

namespace ashlar {

enum class AttachMethod : unsigned char { kKernelNbd, kFuseLoop };
std::string_view attach_method_name(AttachMethod method);

// Returns the better of the methods that work on this host. Fails with kUnsupported when none does; the
// message says what to install.
Result<AttachMethod> choose_attach_method();
// Returns commands for a shell that attach the export by hand.
std::vector<std::string> attach_commands(AttachMethod method, const NbdExport& at);
// Returns "nbd+unix:///NAME?socket=PATH", with %XX for characters that an URI can't hold.
std::string nbd_uri(const NbdExport& at);

}  // namespace ashlar
