#include "machine/accelerator.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "base/unique_fd.h"

namespace ashlar {
namespace {

constexpr int kApiVersion = 12;  // the only version since Linux 2.6.22
constexpr std::size_t kPageBytes = 4096;
constexpr std::uint64_t kGuestCode = 0x1000;
constexpr std::uint16_t kPort = 0xe9;
// mov $0x41, %al; out %al, $0xe9; hlt
constexpr std::array<std::uint8_t, 5> kCode = {0xb0, 0x41, 0xe6, kPort, 0xf4};

class Mapping {
 public:
  static Result<Mapping> make(std::size_t bytes, int fd) {
    const int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) return last_errno("KVM: mmap");
    return Mapping(at, bytes);
  }
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&&) = delete;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (at_) ::munmap(at_, bytes_);
  }
  void* get() const { return at_; }

 private:
  Mapping(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}
  void* at_;
  std::size_t bytes_;
};

template <class Argument>
Result<int> ask(const UniqueFd& fd, unsigned long request, Argument argument, const char* name) {
  const int answer = ::ioctl(fd.get(), request, argument);
  if (answer < 0) return last_errno(fmt::format("KVM: {}", name));
  return answer;
}

Status set_registers(const UniqueFd& processor) {
  kvm_sregs segments{};
  TRY(ask(processor, KVM_GET_SREGS, &segments, "KVM_GET_SREGS"));
  segments.cs.base = 0;
  segments.cs.selector = 0;
  TRY(ask(processor, KVM_SET_SREGS, &segments, "KVM_SET_SREGS"));
  kvm_regs registers{};
  registers.rip = kGuestCode;
  registers.rflags = 2;
  TRY(ask(processor, KVM_SET_REGS, &registers, "KVM_SET_REGS"));
  return {};
}

// Runs a guest that writes one byte to a port and halts.
Status run_guest(const UniqueFd& processor, const kvm_run& run) {
  TRY(ask(processor, KVM_RUN, 0, "KVM_RUN"));
  const bool spoke = run.exit_reason == KVM_EXIT_IO && run.io.port == kPort;
  if (!spoke) return unsupported(fmt::format("KVM: a test guest ended with reason {}", run.exit_reason));
  TRY(ask(processor, KVM_RUN, 0, "KVM_RUN"));
  if (run.exit_reason != KVM_EXIT_HLT)
    return unsupported(fmt::format("KVM: a test guest ended with reason {}", run.exit_reason));
  return {};
}

}  // namespace

std::string_view accelerator_name(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg";
}

Status probe_kvm(const std::string& device) {
  const UniqueFd kvm(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) return last_errno(device);
  if (TRY(ask(kvm, KVM_GET_API_VERSION, 0, "KVM_GET_API_VERSION")) != kApiVersion)
    return unsupported(device + ": not the API that QEMU knows");
  if (TRY(ask(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY, "KVM_CHECK_EXTENSION")) == 0)
    return unsupported(device + ": no user memory");
  const UniqueFd machine(TRY(ask(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM")));
  const Mapping memory = TRY(Mapping::make(kPageBytes, -1));
  std::memcpy(memory.get(), kCode.data(), kCode.size());
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kGuestCode;
  region.memory_size = kPageBytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.get());
  TRY(ask(machine, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION"));
  const UniqueFd processor(TRY(ask(machine, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU")));
  const int run_bytes = TRY(ask(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE"));
  const Mapping run = TRY(Mapping::make(static_cast<std::size_t>(run_bytes), processor.get()));
  TRY(set_registers(processor));
  return run_guest(processor, *static_cast<const kvm_run*>(run.get()));
}

Result<Accelerator> choose_accelerator(std::string_view wanted, std::string_view preference) {
  std::string_view which = wanted;
  if (wanted == "auto" && !preference.empty()) which = preference;
  if (which == "tcg") return Accelerator::kTcg;
  if (which != "kvm" && which != "auto")
    return invalid(fmt::format("accelerator '{}': auto, kvm or tcg", which));
  Status usable = probe_kvm();
  if (usable.ok()) return Accelerator::kKvm;
  if (which == "auto") return Accelerator::kTcg;
  return unsupported("KVM does not work on this host: " + usable.error().text());
}

}  // namespace ashlar
