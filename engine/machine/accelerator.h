// Whether this host can run machines with KVM, or QEMU has to translate (TCG).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

enum class Accelerator : unsigned char { kKvm, kTcg };

std::string_view accelerator_name(Accelerator accelerator);

// Whether KVM works as far as can be told quickly: the device opens, and a virtual machine with memory and a
// processor executes three instructions. A guest's kernel may hang all the same on a host whose KVM is itself
// emulated badly; then only a person can tell, with `tcg`.
Status probe_kvm(const std::string& device = "/dev/kvm");

// `wanted` is auto, kvm or tcg. `auto` is what `preference` says (of the environment, for instance; empty:
// nothing), else kvm where probe_kvm() says yes, else tcg. kUnsupported when kvm is wanted and does not work.
Result<Accelerator> choose_accelerator(std::string_view wanted, std::string_view preference);

}  // namespace ashlar
