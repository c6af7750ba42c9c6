// Accelerator: KVM when this host can run machines with it, else QEMU's translation (TCG).
// Internal to the module.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

enum class Accelerator : unsigned char { kKvm, kTcg };

std::string_view accelerator_name(Accelerator accelerator);

// Checks, as far as a quick test can, that KVM works: the device opens, and a virtual machine with memory and
// a processor executes three instructions. A guest's kernel may still hang on a host that emulates KVM badly;
// only a person sees that, and then chooses `tcg`.
Status probe_kvm(const std::string& device = "/dev/kvm");

// Chooses an accelerator. `wanted` is auto, kvm or tcg. `auto` means `preference` (from the environment, for
// instance) unless that is empty; else kvm when probe_kvm() succeeds, else tcg. Returns kUnsupported when kvm
// is wanted and does not work.
Result<Accelerator> choose_accelerator(std::string_view wanted, std::string_view preference);

}  // namespace ashlar
