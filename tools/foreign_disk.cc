#include "foreign_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "attachment.h"
#include "base/clock.h"
#include "disk/header_check.h"
#include "output.h"
#include "source/mounts.h"

namespace ashlar {
namespace {

constexpr double kStartSeconds = 60;
constexpr double kPauseSeconds = 0.01;
constexpr double kLookSeconds = 0.05;

// The source that qemu-nbd serves, under the name and identity of the file behind it: it is found as the
// parent of the next import from there.
class NamedSource : public Source {
 public:
  NamedSource(std::unique_ptr<Source> source, std::string name, std::string identity)
      : source_(std::move(source)), name_(std::move(name)), identity_(std::move(identity)) {}

  SourceType type() const override { return SourceType::kFile; }
  const std::string& name() const override { return name_; }
  std::string identity() const override { return identity_; }
  std::optional<ByteCount> size() const override { return source_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override { return source_->next_extent(offset); }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return source_->read(std::move(plan));
  }

 private:
  std::unique_ptr<Source> source_;
  const std::string name_;
  const std::string identity_;
};

// What qemu-nbd opens; everything is stated.
Json block_device(DiskFormat format, const std::string& path, const std::optional<OvaMember>& member) {
  Json file{{"driver", "file"}, {"filename", path}};
  if (member) file = {{"driver", "raw"}, {"offset", member->offset}, {"size", member->bytes}, {"file", file}};
  Json node{{"driver", qemu_driver(format)}, {"backing", nullptr}, {"file", file}};
  // Programs differ in whether the geometry or the size counts; only the size cuts nothing off.
  if (format == DiskFormat::kVhd) node["force_size_calc"] = "current_size";
  return node;
}

Result<std::string> identity_text(const std::string& file, const std::optional<OvaMember>& member) {
  std::error_code failed;
  const std::filesystem::path canonical = std::filesystem::canonical(file, failed);
  if (failed) return Error::from_errno(failed.value(), file + ": finding its real path");
  return fmt::format("disk:{}{}{}", canonical.string(), member ? "#" : "", member ? member->name : "");
}

// QEMU's raw driver takes whole sectors.
Status check_member(const OvaMember& member) {
  constexpr std::uint64_t kSector = 512;
  if (member.offset % kSector == 0 && member.bytes % kSector == 0) return {};
  return corrupt("is no whole number of sectors: a part is missing");
}

}  // namespace

Error about(const std::string& file, Error error) {
  const bool is_of_contents = error.code() == ErrorCode::kInvalid || error.code() == ErrorCode::kCorrupt ||
                              error.code() == ErrorCode::kUnsupported;
  if (!is_of_contents) return error;
  return {error.code(), fmt::format("{} {}", file, error.text())};
}

Status check_settled(const std::string& file) {
  std::error_code failed;
  const auto status = std::filesystem::status(file, failed);
  if (failed) return Error::from_errno(failed.value(), file);
  if (std::filesystem::is_directory(status)) return invalid(file + " is a directory: give a disk image");
  if (!std::filesystem::is_regular_file(status))
    return invalid(file + " is no regular file: 'ashlar capture' takes devices and streams");
  for (const MountUse& mount : TRY(mounts_of(file))) {
    if (mount.read_write)
      return busy(fmt::format("{} is mounted read-write on {}: unmount it first", file, mount.mount_point));
  }
  return check_no_writer(file);
}

std::string ForeignDisk::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.get()); }

Status ForeignDisk::look_at(DiskFormat format, const std::optional<OvaMember>& member) {
  const auto opened = TRY(posix_file_system().open(path(), ReadMode::kCached));
  const FileRange range{*opened, member ? member->offset : 0, member ? member->bytes : TRY(opened->size())};
  Status checked = member ? check_member(*member) : Status();
  if (checked.ok()) checked = check_header(format, range);
  return checked.ok() ? Status() : about(name_, checked.take_error());
}

Status ForeignDisk::start(const std::string& block_device) {
  server_ = TRY(WorkingProcess::start({TRY(find_program("qemu-nbd", "qemu-utils")), "--read-only",
                                       "--socket=" + directory_.path() + "/nbd.sock", block_device},
                                      directory_.path()));
  return {};
}

// qemu-nbd listens before it opens the disk, and ends when it can't.
Status ForeignDisk::connect(std::string identity, const std::stop_token& stop) {
  const std::string uri = nbd_uri({directory_.path() + "/nbd.sock", ""});
  const double deadline = monotonic_seconds() + kStartSeconds;
  for (;;) {
    auto source = open_source(uri, {});
    if (source.ok()) {
      source_ = std::make_unique<NamedSource>(source.take(), name_, std::move(identity));
      return {};
    }
    if (stop.stop_requested()) return cancelled();
    if (server_->wait(kPauseSeconds)) {
      TRY(server_->outcome().with_context(name_));
      return source.take_error().with_context(name_);  // of what was served, ours is the complaint
    }
    if (monotonic_seconds() > deadline) return busy(name_ + ": qemu-nbd does not answer");
  }
}

// Its exit status says all: of an image that was not closed well it lists every cluster.
Status ForeignDisk::check_tables(const std::string& block_device, const std::stop_token& stop) {
  constexpr int kWell = 0;
  constexpr int kOnlyLeaks = 3;
  constexpr int kNoCheckForFormat = 63;
  const auto qemu_img =
      TRY(WorkingProcess::start({TRY(find_program("qemu-img", "qemu-utils")), "check", block_device},
                                directory_.path(), WorkingProcess::Words::kDropped));
  while (!qemu_img->wait(kLookSeconds)) {
    if (stop.stop_requested()) return cancelled();
  }
  const auto status = qemu_img->exit_status();
  if (status == kWell || status == kOnlyLeaks || status == kNoCheckForFormat) return {};
  return corrupt(name_ + " is damaged, or a part of it is missing: 'qemu-img check' says more of it");
}

Result<std::unique_ptr<ForeignDisk>> ForeignDisk::open(const std::string& file, DiskFormat format,
                                                       const std::optional<OvaMember>& member,
                                                       const std::stop_token& stop) {
  const std::string name = member ? fmt::format("{}: {}", file, member->name) : file;
  PrivateDirectory directory = TRY(PrivateDirectory::make());
  std::unique_ptr<ForeignDisk> disk(new ForeignDisk(std::move(directory), name));
  if (format == DiskFormat::kRaw) {
    disk->source_ = TRY(open_source(std::filesystem::absolute(file).string(), {}));
    return disk;
  }
  disk->file_.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!disk->file_.valid()) return last_errno(file);
  TRY(disk->look_at(format, member));
  const std::string device = "json:" + block_device(format, disk->path(), member).dump();
  TRY(disk->start(device));
  TRY(disk->connect(TRY(identity_text(file, member)), stop));
  TRY(disk->check_tables(device, stop));
  return disk;
}

Error ForeignDisk::explained(Error error) const {
  const std::string said = server_ ? server_->said() : "";
  if (said.empty() || error.code() != ErrorCode::kIo) return error;
  return {error.code(), fmt::format("{} can't be read: {}", name_, said)};
}

}  // namespace ashlar
