#include "machine/machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/clock.h"
#include "machine/qmp.h"
#include "process/background_process.h"

namespace ashlar {
namespace {

constexpr const char* kProgram = "qemu-system-x86_64";
constexpr const char* kPackage = "qemu-system-x86";
constexpr double kStartSeconds = 60;  // until QEMU's monitor answers; QEMU opens its disks before
constexpr double kPollSeconds = 0.02;
constexpr double kAnswerSeconds = 5;
constexpr double kQuitSeconds = 15;
constexpr double kKillSeconds = 10;
constexpr std::size_t kMaxSocketPath = 107;

// Shortens the path of a server's socket that is too long for an address. QEMU runs in the directory of its
// machine, from which a socket of the same store has a short relative name.
Status shorten(NbdExport& at, const std::string& directory) {
  if (at.socket.size() <= kMaxSocketPath) return {};
  std::error_code failed;
  const auto relative = std::filesystem::relative(at.socket, directory, failed);
  if (!failed && relative.native().size() <= kMaxSocketPath) {
    at.socket = relative.native();
    return {};
  }
  return unsupported(fmt::format("{}: the path of a socket has at most {} bytes", at.socket, kMaxSocketPath));
}

Status check_readable(const std::string& path) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return {};
  return last_errno(path);
}

Error did_not_start(const std::string& log, std::uint64_t from) {
  const std::string said = last_line(log, from);
  return Error(ErrorCode::kIo,
               fmt::format("QEMU did not start: {}", said.empty() ? "it printed nothing" : said));
}

Status wait_until_running(const std::string& directory, const RunningProcess& process,
                          std::uint64_t log_bytes) {
  const std::string log = directory + "/" + kQemuLogName;
  const double deadline = monotonic_seconds() + kStartSeconds;
  while (true) {
    if (process.wait(kPollSeconds)) return did_not_start(log, log_bytes);
    const auto qmp = Qmp::connect(directory, kAnswerSeconds);
    if (qmp.ok()) return {};
    if (monotonic_seconds() > deadline)
      return qmp.error().code() == ErrorCode::kNotFound ? busy("QEMU does not open its monitor")
                                                        : Error(qmp.error().code(), qmp.error().text());
  }
}

Result<std::uint64_t> size_or_zero(const std::string& path) {
  auto size = posix_file_system().file_size(path);
  if (is(size, ErrorCode::kNotFound)) return std::uint64_t{0};
  return size;
}

Status run(Instances& instances, InstanceRecord& record, const BackgroundCommand& command) {
  const std::uint64_t log_bytes = TRY(size_or_zero(command.log));
  // A socket that a killed QEMU left would look like the new one's.
  ::unlink((command.directory + "/" + kQmpSocketName).c_str());
  WaitingChild child = TRY(WaitingChild::fork(command));
  record.wish = InstanceWish::kRunning;
  record.process = child.process();
  TRY(instances.save(record));
  const RunningProcess process = TRY(RunningProcess::find(child.process()));
  TRY(child.let_go());
  return wait_until_running(command.directory, process, log_bytes);
}

}  // namespace

Status start_machine(Instances& instances, InstanceRecord& record, std::vector<NbdExport> exports,
                     std::string_view preference) {
  const std::string directory = instances.directory(record.id);
  for (NbdExport& at : exports) TRY(shorten(at, directory));
  TRY(check_readable(boot_file_path(directory, record.kernel)));
  TRY(check_readable(boot_file_path(directory, record.initrd)));
  const std::string program = TRY(find_program(kProgram, kPackage));
  const Accelerator accelerator = TRY(choose_accelerator(record.accelerator, preference));
  const auto start_with = [&](Accelerator wanted) -> Status {
    const BackgroundCommand command = {qemu_command(program, record, wanted, exports), directory,
                                       directory + "/" + kQemuLogName};
    return run(instances, record, command);
  };
  Status started = start_with(accelerator);
  if (started.ok()) return {};
  TRY(end_machine(instances, record));
  // Where KVM is emulated, as in machines within machines, it may run three instructions but not QEMU. TCG is
  // taken only when neither the record nor the preference asks for KVM.
  const bool is_free_choice = record.accelerator == "auto" && preference.empty();
  if (is_free_choice && accelerator == Accelerator::kKvm) {
    started = start_with(Accelerator::kTcg);
    if (started.ok()) return {};
    TRY(end_machine(instances, record));
  }
  record.wish = InstanceWish::kStopped;
  TRY(instances.save(record));
  return started;
}

Status press_power_button(const Instances& instances, const InstanceRecord& record) {
  if (!record.process || !TRY(is_running(*record.process))) return {};
  auto qmp = Qmp::connect(instances.directory(record.id), kAnswerSeconds);
  Status pressed = qmp.ok() ? qmp.value()->power_down(kAnswerSeconds) : Status(qmp.take_error());
  if (!pressed.ok() && !TRY(is_running(*record.process))) return {};
  return pressed;
}

Status end_machine(const Instances& instances, const InstanceRecord& record) {
  if (!record.process) return {};
  auto process = RunningProcess::find(*record.process);
  if (is(process, ErrorCode::kNotFound)) return {};
  if (!process.ok()) return process.take_error();
  const std::string directory = instances.directory(record.id);
  auto qmp = Qmp::connect(directory, kAnswerSeconds);
  const bool told = qmp.ok() && qmp.value()->quit(kAnswerSeconds).ok();
  const bool ended = (told && process.value().wait(kQuitSeconds)) ||
                     (process.value().signal(SIGKILL).ok() && process.value().wait(kKillSeconds));
  if (!ended) return busy(fmt::format("QEMU, process {}, does not end", record.process->pid));
  ::unlink((directory + "/" + kQmpSocketName).c_str());
  return {};
}

}  // namespace ashlar
