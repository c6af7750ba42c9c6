#include "host/attachments.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/clock.h"
#include "host/loop_device.h"
#include "host/nbd_device.h"
#include "io/replace_file.h"
#include "process/background_process.h"
#include "process/host_command.h"

namespace ashlar {
namespace {

constexpr double kMountSeconds = 30;
constexpr double kEndSeconds = 30;
constexpr double kPauseSeconds = 0.02;

FileSystem& files() { return posix_file_system(); }

bool exists(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0;
}

bool is_busy(const Status& status) { return is(status, ErrorCode::kBusy); }

// Takes down the loop devices over a file. A dead nbdfuse can't take what is written back; its device has to
// go all the same.
Status take_down_loops(const std::string& file, bool can_write_back) {
  Status settled;
  for (const std::string& device : loops_over(file)) {
    if (can_write_back) settled = settle_device(device);
    if (is_busy(settled)) return settled;
    TRY(run_command({TRY(find_program("losetup", "mount")), "-d", device}));
  }
  return settled;
}

}  // namespace

HeldVolume::HeldVolume(const HostDirectory& host, VolumeId volume)
    : volume_(volume),
      directory_(std::filesystem::absolute(host.attachments() + "/" + volume.text()).lexically_normal()) {}

// A process that waits for the file that is removed here notices, and makes another.
HeldVolume::~HeldVolume() {
  if (lock_) best_effort(files().remove(directory_ + ".lock"));
}

Result<HeldVolume> Attachments::hold(VolumeId volume) {
  HeldVolume held(host_, volume);
  TRY(host_.make_folder(host_.attachments()));
  auto lock = files().lock(held.directory_ + ".lock");
  if (is(lock, ErrorCode::kBusy))
    return busy(volume.text() + " is being attached, released or started on by another process");
  held.lock_ = TRY(std::move(lock));
  return held;
}

// On a disk that is too full for a lock no process can write the note of an attachment either, and deleting
// volumes is the way to make room.
Result<HeldVolume> Attachments::hold_unattached(VolumeId volume) {
  auto locked = hold(volume);
  HeldVolume held = is(locked, ErrorCode::kExhausted) ? HeldVolume(host_, volume) : TRY(std::move(locked));
  if (const auto attached = TRY(held.attached())) {
    return busy(fmt::format("{} is attached to this host as {}", volume.text(), attached->device))
        .about(ErrorKind::kVolumeAttached, volume.text());
  }
  return held;
}

Result<std::optional<Attachment>> HeldVolume::attached() {
  const auto text = read_file(files(), note(), kMaxAttachmentNoteBytes);
  if (is(text, ErrorCode::kNotFound)) return std::optional<Attachment>();
  if (!text.ok()) return text.error();
  Attachment attachment = TRY(decode_attachment(as_text(text.value()), volume_).with_context(note()));
  if (TRY(is_live(attachment))) return std::optional(std::move(attachment));
  TRY(take_down(attachment));  // what a reboot, or the death of a part, has left
  return std::optional<Attachment>();
}

Result<bool> HeldVolume::is_live(const Attachment& attachment) const {
  if (attachment.method == AttachMethod::kKernelNbd)
    return is_nbd_client_of(attachment.process, attachment.device).with_context(note());
  return TRY(is_running(attachment.process)) && backing_file(attachment.device) == disk();
}

Status HeldVolume::save(const Attachment& attachment) {
  return replace_file(files(), note(), as_byte_span(encode_attachment(volume_, attachment)));
}

Result<Attachment> HeldVolume::attach(AttachMethod method, NbdExport at) {
  TRY(files().make_directory(directory_));
  if (auto there = TRY(attached())) return *std::move(there);
  return method == AttachMethod::kKernelNbd ? attach_kernel(at) : attach_fuse(std::move(at));
}

// The device is noted before it is connected, without a client: a note that was cut off in between is never
// taken for the client of another attachment.
Result<Attachment> HeldVolume::attach_kernel(const NbdExport& at) {
  const std::string program = TRY(find_program("nbd-client", "nbd-client"));
  const auto lock = TRY(lock_nbd_devices());
  Attachment attachment;
  attachment.method = AttachMethod::kKernelNbd;
  attachment.process.boot = TRY(process_of(static_cast<std::uint32_t>(::getpid()))).boot;
  attachment.device = TRY(free_nbd_device());
  TRY(save(attachment));
  const auto ran = run_command({program, "-unix", at.socket, "-N", at.name, attachment.device});
  auto client = ran.ok() ? wait_for_nbd_client(attachment.device) : Result<ProcessIdentity>(ran.error());
  if (client.ok()) {
    attachment.process = client.take();
    const Status saved = save(attachment);
    if (saved.ok()) return attachment;
    client = saved.error();
  }
  if (ran.ok()) TRY(run_command({program, "-d", attachment.device}));
  TRY(files().remove(note()));
  return client.error();
}

// nbdfuse is noted before it shows anything, and the loop device is found by its file: the next call takes
// down what was cut off in between.
Result<Attachment> HeldVolume::attach_fuse(NbdExport at) {
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
    return device.error();
  }
  attachment.device = device.take();
  TRY(save(attachment));
  return attachment;
}

Result<std::optional<Attachment>> HeldVolume::release() {
  if (!exists(directory_)) return std::optional<Attachment>();
  auto there = TRY(attached());
  Status down = there ? take_down(*there) : Status();
  if (is_busy(down)) return down.error();
  TRY(clear());
  TRY(std::move(down));
  return there;
}

Status HeldVolume::take_down(const Attachment& attachment) {
  Status settled;
  if (attachment.method == AttachMethod::kKernelNbd) {
    if (TRY(is_live(attachment))) {
      settled = settle_device(attachment.device);
      if (is_busy(settled)) return settled;
      TRY(run_command({TRY(find_program("nbd-client", "nbd-client")), "-d", attachment.device}));
    }
  } else {
    settled = take_down_loops(disk(), TRY(is_running(attachment.process)));
    if (is_busy(settled)) return settled;
    unmount_fuse();
    const auto process = RunningProcess::find(attachment.process);
    if (process.ok() && !process.value().wait(kEndSeconds)) TRY(process.value().signal(SIGKILL));
  }
  TRY(files().remove(note()));
  return settled;
}

void HeldVolume::unmount_fuse() {
  if (::umount2(disk().c_str(), MNT_DETACH) == 0) return;
  if (const auto fusermount = find_program("fusermount3", "fuse3"); fusermount.ok())
    best_effort(run_command({fusermount.value(), "-q", "-u", "-z", disk()}));
}

Status HeldVolume::clear() {
  for (const char* part : {"/disk", "/nbdfuse.log", "/attachment.json.new"})
    TRY(remove_if_there(files(), directory_ + part));
  return files().remove(directory_);
}

}  // namespace ashlar
