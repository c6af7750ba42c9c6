#include "attachment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "io/replace_file.h"
#include "nbd_device.h"
#include "process/background_process.h"
#include "process/host_command.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr double kMountSeconds = 30;
constexpr double kEndSeconds = 30;
constexpr double kPauseSeconds = 0.02;
constexpr std::size_t kMaxNoteBytes = 4096;

FileSystem& files() { return posix_file_system(); }

bool exists(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0;
}

bool is_installed(const char* program, const char* package) { return find_program(program, package).ok(); }

std::string name_of(const std::string& device) { return device.substr(device.rfind('/') + 1); }

// Of a loop device; empty when it has none.
std::string backing_file(const std::string& device) {
  auto file =
      files().open(fmt::format("/sys/block/{}/loop/backing_file", name_of(device)), ReadMode::kCached);
  if (!file.ok()) return {};
  std::string text(4096, '\0');
  const auto got = file.value()->read_at(0, std::as_writable_bytes(std::span(text)));
  if (!got.ok()) return {};
  text.resize(got.value());
  return text.substr(0, text.find('\n'));
}

// Nobody has it mounted or claimed, and what was written to it is with the server.
Status settle(const std::string& device) {
  const UniqueFd fd(::open(device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
  if (!fd.valid() && errno == EBUSY) return busy(device + " is in use: unmount it first");
  if (!fd.valid()) return last_errno(device);
  if (::fsync(fd.get()) != 0) return last_errno(device + ": what was written last is lost");
  return {};
}

bool is_busy(const Status& status) { return is(status, ErrorCode::kBusy); }

std::vector<std::string> loops_over(const std::string& file) {
  std::vector<std::string> devices;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", failed)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("loop") && backing_file(name) == file) devices.push_back("/dev/" + name);
  }
  return devices;
}

Json to_json(VolumeId volume, const Attachment& attachment) {
  return {{"volume", volume.text()},       {"method", attach_method_name(attachment.method)},
          {"device", attachment.device},   {"boot", to_hex(attachment.process.boot)},
          {"pid", attachment.process.pid}, {"pid_started", attachment.process.pid_started}};
}

Result<Attachment> from_text(std::string_view text, VolumeId volume) {
  const Json body = Json::parse(text, nullptr, false);
  const Error damaged =
      corrupt("this is not the note of an attachment: remove the file once no device shows the volume");
  const auto is_text = [&](const char* key) { return body.contains(key) && body[key].is_string(); };
  const auto is_number = [&](const char* key) {
    return body.contains(key) && body[key].is_number_unsigned();
  };
  if (!body.is_object() || !is_text("volume") || !is_text("method") || !is_text("device") ||
      !is_text("boot") || !is_number("pid") || !is_number("pid_started") || body["volume"] != volume.text() ||
      !std::in_range<std::uint32_t>(body["pid"].get<std::uint64_t>())) {
    return corrupt(damaged.text());
  }
  Attachment attachment;
  attachment.device = body["device"].get<std::string>();
  attachment.process.pid = body["pid"].get<std::uint32_t>();
  attachment.process.pid_started = body["pid_started"].get<std::uint64_t>();
  const bool kernel = body["method"] == attach_method_name(AttachMethod::kKernelNbd);
  attachment.method = kernel ? AttachMethod::kKernelNbd : AttachMethod::kFuseLoop;
  const bool known = kernel || body["method"] == attach_method_name(AttachMethod::kFuseLoop);
  if (!known || !attachment.device.starts_with("/dev/") ||
      !from_hex(body["boot"].get<std::string>(), attachment.process.boot).ok()) {
    return corrupt(damaged.text());
  }
  return attachment;
}

}  // namespace

std::string_view attach_method_name(AttachMethod method) {
  return method == AttachMethod::kKernelNbd ? "nbd-client" : "nbdfuse";
}

std::string nbd_uri(const NbdExport& at) {
  std::string path;
  for (const char c : at.socket) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/._-~").find(c) != std::string_view::npos;
    path += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("nbd+unix:///{}?socket={}", at.name, path);
}

Result<AttachMethod> choose_attach_method() {
  if (is_installed("nbd-client", "nbd-client") && has_kernel_nbd()) return AttachMethod::kKernelNbd;
  if (is_installed("nbdfuse", "libnbd-bin") && exists("/dev/fuse")) return AttachMethod::kFuseLoop;
  return unsupported(
      "this host can't attach a volume: install nbd-client where the kernel has the module nbd, else "
      "libnbd-bin and fuse3 (apt install)");
}

std::vector<std::string> attach_commands(AttachMethod method, const NbdExport& at) {
  if (method == AttachMethod::kKernelNbd) {
    return {fmt::format("nbd-client -unix {} -N {} /dev/nbd0", shell_quoted(at.socket), at.name)};
  }
  return {fmt::format("touch {}.disk", at.name),
          fmt::format("nbdfuse {}.disk {} &", at.name, shell_quoted(nbd_uri(at))),
          fmt::format("losetup -f --show {}.disk", at.name)};
}

Attachments::Attachments(HostDirectory& host, VolumeId volume)
    : host_(&host),
      volume_(volume),
      directory_(std::filesystem::absolute(host.attachments() + "/" + volume.text()).lexically_normal()) {}

// Whoever waits for the file that is removed here notices, and makes another.
Attachments::~Attachments() {
  if (lock_) best_effort(files().remove(directory_ + ".lock"));
}

Status Attachments::hold() {
  if (lock_) return {};
  TRY(host_->make_folder(host_->attachments()));
  auto lock = files().lock(directory_ + ".lock");
  if (is(lock, ErrorCode::kBusy)) {
    return busy(volume_.text() + " is being attached, released or started on by another process");
  }
  lock_ = TRY(std::move(lock));
  return {};
}

Result<std::optional<Attachment>> Attachments::attached() {
  TRY(hold());
  return find();
}

// On a disk that is too full for a lock nobody can write the note of an attachment either, and deleting
// volumes is the way to make room.
Result<Attachments> hold_unattached(HostDirectory& host, VolumeId volume) {
  Attachments held(host, volume);
  Status locked = held.hold();
  if (!locked.ok() && locked.error().code() != ErrorCode::kExhausted) return locked.take_error();
  if (const auto attached = TRY(held.find())) {
    return busy(fmt::format("{} is attached to this host as {}: 'ashlar volume release' it first",
                            volume.text(), attached->device));
  }
  return held;
}

Result<std::optional<Attachment>> Attachments::find() {
  auto text = read_file(files(), note(), kMaxNoteBytes);
  if (is(text, ErrorCode::kNotFound)) return std::optional<Attachment>();
  Attachment attachment = TRY(from_text(as_text(TRY(std::move(text))), volume_).with_context(note()));
  if (TRY(is_live(attachment))) return std::optional(std::move(attachment));
  TRY(take_down(attachment));  // what a reboot, or the death of a part, has left
  return std::optional<Attachment>();
}

Result<bool> Attachments::is_live(const Attachment& attachment) const {
  if (attachment.method == AttachMethod::kKernelNbd) {
    return is_nbd_client_of(attachment.process, attachment.device).with_context(note());
  }
  return TRY(is_running(attachment.process)) && backing_file(attachment.device) == disk();
}

Status Attachments::save(const Attachment& attachment) {
  return replace_file(files(), note(), as_byte_span(to_json(volume_, attachment).dump(2) + "\n"));
}

Result<Attachment> Attachments::attach(AttachMethod method, NbdExport at) {
  TRY(hold());
  TRY(files().make_directory(directory_));
  if (auto attached = TRY(find())) return *std::move(attached);
  return method == AttachMethod::kKernelNbd ? attach_kernel(at) : attach_fuse(std::move(at));
}

// Noted before it is connected, without a client; one that is cut off in between is not taken for anything.
Result<Attachment> Attachments::attach_kernel(const NbdExport& at) {
  const std::string program = TRY(find_program("nbd-client", "nbd-client"));
  const auto lock = TRY(lock_nbd_devices());
  Attachment attachment;
  attachment.method = AttachMethod::kKernelNbd;
  attachment.process.boot = TRY(process_of(static_cast<std::uint32_t>(::getpid()))).boot;
  attachment.device = TRY(free_nbd_device());
  TRY(save(attachment));
  auto ran = run_command({program, "-unix", at.socket, "-N", at.name, attachment.device});
  auto client = ran.ok() ? wait_for_nbd_client(attachment.device) : Result<ProcessIdentity>(ran.take_error());
  if (client.ok()) {
    attachment.process = client.take();
    Status saved = save(attachment);
    if (saved.ok()) return attachment;
    client = saved.take_error();
  }
  if (ran.ok()) TRY(run_command({program, "-d", attachment.device}));
  TRY(files().remove(note()));
  return client.take_error();
}

// nbdfuse is noted before it shows anything, and the loop device is found by its file: whatever is cut off in
// between is taken down by the next call.
Result<Attachment> Attachments::attach_fuse(NbdExport at) {
  const std::string log = directory_ + "/nbdfuse.log";
  if (!exists(disk())) TRY(files().create(disk()));
  at.socket = std::filesystem::path(at.socket).lexically_relative(directory_);
  WaitingChild child = TRY(WaitingChild::fork(
      {{TRY(find_program("nbdfuse", "libnbd-bin")), disk(), nbd_uri(at)}, directory_, log}));
  Attachment attachment{AttachMethod::kFuseLoop, "/dev/loop", child.process()};
  TRY(save(attachment));
  const RunningProcess process = TRY(RunningProcess::find(child.process()));
  TRY(child.let_go());
  const double deadline = monotonic_seconds() + kMountSeconds;
  while (TRY(files().file_size(disk())) == 0) {
    const bool ended = process.wait(kPauseSeconds);
    if (!ended && monotonic_seconds() < deadline) continue;
    TRY(take_down(attachment));
    return Error(ErrorCode::kIo, "nbdfuse does not show the volume: " + last_line(log, 0));
  }
  auto device = run_command({TRY(find_program("losetup", "mount")), "-f", "--show", disk()});
  if (!device.ok()) {
    TRY(take_down(attachment));
    return device.take_error();
  }
  attachment.device = device.take();
  TRY(save(attachment));
  return attachment;
}

Result<std::optional<Attachment>> Attachments::release() {
  TRY(hold());
  if (!exists(directory_)) return std::optional<Attachment>();
  auto attached = TRY(find());
  Status down = attached ? take_down(*attached) : Status();
  if (is_busy(down)) return down.take_error();
  TRY(clear());
  TRY(std::move(down));
  return attached;
}

Status Attachments::take_down(const Attachment& attachment) {
  Status settled;
  if (attachment.method == AttachMethod::kKernelNbd) {
    if (TRY(is_live(attachment))) {
      settled = settle(attachment.device);
      if (is_busy(settled)) return settled;
      TRY(run_command({TRY(find_program("nbd-client", "nbd-client")), "-d", attachment.device}));
    }
  } else {
    settled = take_down_loops(TRY(is_running(attachment.process)));
    if (is_busy(settled)) return settled;
    unmount_fuse();
    const auto process = RunningProcess::find(attachment.process);
    if (process.ok() && !process.value().wait(kEndSeconds)) TRY(process.value().signal(SIGKILL));
  }
  TRY(files().remove(note()));
  return settled;
}

// A dead nbdfuse can't take what is written back; its device has to go all the same.
Status Attachments::take_down_loops(bool can_write_back) {
  Status settled;
  for (const std::string& device : loops_over(disk())) {
    if (can_write_back) settled = settle(device);
    if (is_busy(settled)) return settled;
    TRY(run_command({TRY(find_program("losetup", "mount")), "-d", device}));
  }
  return settled;
}

void Attachments::unmount_fuse() {
  if (::umount2(disk().c_str(), MNT_DETACH) == 0) return;
  if (const auto fusermount = find_program("fusermount3", "fuse3"); fusermount.ok())
    (void)run_command({fusermount.value(), "-q", "-u", "-z", disk()}).ok();
}

Status Attachments::clear() {
  for (const char* part : {"/disk", "/nbdfuse.log", "/attachment.json.new"}) {
    Status removed = files().remove(directory_ + part);
    if (!removed.ok() && removed.error().code() != ErrorCode::kNotFound) return removed;
  }
  return files().remove(directory_);
}

}  // namespace ashlar
