#include "host/attach_method.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "host/nbd_device.h"
#include "process/background_process.h"
#include "process/host_command.h"
#include "source/nbd_uri.h"

namespace ashlar {
namespace {

bool is_installed(const char* program, const char* package) { return find_program(program, package).ok(); }

bool has_fuse() {
  struct stat about {};
  return ::lstat("/dev/fuse", &about) == 0;
}

}  // namespace

std::string_view attach_method_name(AttachMethod method) {
  return method == AttachMethod::kKernelNbd ? "nbd-client" : "nbdfuse";
}

std::string nbd_uri(const NbdExport& at) { return nbd_unix_uri(at.socket, at.name); }

Result<AttachMethod> choose_attach_method() {
  if (is_installed("nbd-client", "nbd-client") && has_kernel_nbd()) return AttachMethod::kKernelNbd;
  if (is_installed("nbdfuse", "libnbd-bin") && has_fuse()) return AttachMethod::kFuseLoop;
  return unsupported(
      "this host can't attach a volume: install nbd-client where the kernel has the module nbd, else "
      "libnbd-bin and fuse3 (apt install)");
}

std::vector<std::string> attach_commands(AttachMethod method, const NbdExport& at) {
  if (method == AttachMethod::kKernelNbd)
    return {fmt::format("nbd-client -unix {} -N {} /dev/nbd0", shell_quoted(at.socket), at.name)};
  // The file is empty until nbdfuse has written its process id, and a loop device over it would be empty too.
  return {fmt::format("rm -f {0}.pid; touch {0}.disk", at.name),
          fmt::format("nbdfuse -P {0}.pid {0}.disk {1} &", at.name, shell_quoted(nbd_uri(at))),
          fmt::format("until [ -e {0}.pid ]; do sleep 0.1; done && losetup -f --show {0}.disk", at.name)};
}

}  // namespace ashlar
