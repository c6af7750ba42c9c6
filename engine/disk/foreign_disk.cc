#include "disk/foreign_disk.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "disk/header_check.h"
#include "disk/watched_source.h"
#include "source/nbd_uri.h"

namespace ashlar {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kStartSeconds = 60;
constexpr double kPauseSeconds = 0.01;
constexpr double kLookSeconds = 0.05;
constexpr std::chrono::milliseconds kLook{20};

// Returns the block device that qemu-nbd opens, with nothing left for it to guess.
Json node_of(DiskFormat format, const std::string& path, const std::optional<OvaMember>& member) {
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
  return corrupt("is truncated: its size is not a multiple of 512 bytes");
}

}  // namespace

Error with_file_name(const std::string& file, Error error) {
  const bool is_of_contents = error.code() == ErrorCode::kInvalid || error.code() == ErrorCode::kCorrupt ||
                              error.code() == ErrorCode::kUnsupported;
  if (!is_of_contents) return error;
  return error.with_text(fmt::format("{} {}", file, error.text()));
}

Status ForeignDisk::look_at(DiskFormat format, const std::optional<OvaMember>& member) {
  const auto opened = TRY(posix_file_system().open(file_->path(), ReadMode::kCached));
  const FileRange range{*opened, member ? member->offset : 0, member ? member->bytes : TRY(opened->size())};
  Status checked = member ? check_member(*member) : Status();
  if (checked.ok()) checked = check_header(format, range);
  return checked.ok() ? Status() : with_file_name(name_, checked.take_error());
}

Status ForeignDisk::start(const std::string& block_device) {
  server_ = TRY(WorkingProcess::start({TRY(find_program("qemu-nbd", "qemu-utils")), "--read-only",
                                       "--socket=" + directory_.path() + "/nbd.sock", block_device},
                                      directory_.path()));
  return {};
}

// Connects to qemu-nbd, which listens before it opens the disk. A server that accepts and then stays silent
// would block the handshake forever, so at the deadline it is ended, and with it the handshake.
Result<std::unique_ptr<Source>> ForeignDisk::shake_hands(const std::string& uri, double deadline,
                                                         const std::stop_token& stop) {
  auto connecting = std::async(std::launch::async, [uri] { return open_source(uri, {}); });
  while (connecting.wait_for(kLook) != std::future_status::ready) {
    const bool is_late = monotonic_seconds() > deadline;
    if (!is_late && !stop.stop_requested()) continue;
    server_.reset();
    connecting.wait();
    if (!is_late) return cancelled();
    return busy(name_ + ": qemu-nbd does not answer");
  }
  return connecting.get();
}

Status ForeignDisk::connect(std::string identity, const std::stop_token& stop) {
  const std::string uri = nbd_unix_uri(directory_.path() + "/nbd.sock", "");
  const double deadline = monotonic_seconds() + kStartSeconds;
  for (;;) {
    auto source = shake_hands(uri, deadline, stop);
    if (source.ok()) {
      source_ = watched_source(source.take(), file_, name_, std::move(identity));
      return {};
    }
    if (!server_) return source.take_error();
    if (stop.stop_requested()) return cancelled();
    if (server_->wait(kPauseSeconds)) {  // it ends when it can't open the disk
      TRY(server_->outcome().with_context(name_));
      return source.take_error().with_context(name_);  // it served the disk, so the error is ours
    }
    if (monotonic_seconds() > deadline) return busy(name_ + ": qemu-nbd does not answer");
  }
}

// Runs 'qemu-img check'. Its output is dropped, because it lists every cluster of an image that was not
// closed well; the exit status is enough.
Status ForeignDisk::check_tables(const std::string& block_device, const std::stop_token& stop) {
  constexpr int kWell = 0;
  constexpr int kDamaged = 2;
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
  if (status == kDamaged)
    return corrupt(name_ + " is damaged or truncated: run 'qemu-img check' for details");
  if (!status) return qemu_img->outcome().with_context(name_);
  return Error(ErrorCode::kIo, fmt::format("{}: 'qemu-img check' fails with exit status {}: run it for the "
                                           "reason",
                                           name_, *status));
}

Result<std::unique_ptr<ForeignDisk>> ForeignDisk::open(std::shared_ptr<const HeldFile> file,
                                                       DiskFormat format,
                                                       const std::optional<OvaMember>& member,
                                                       const std::stop_token& stop) {
  std::string name = member ? fmt::format("{}: {}", file->name(), member->name) : file->name();
  PrivateDirectory directory = TRY(PrivateDirectory::make());
  std::unique_ptr<ForeignDisk> disk(new ForeignDisk(std::move(directory), std::move(file), std::move(name)));
  if (format == DiskFormat::kRaw) {
    auto source = TRY(open_source(disk->file_->path(), {}));
    std::string identity = source->identity();
    disk->source_ = watched_source(std::move(source), disk->file_, disk->name_, identity);
    return disk;
  }
  TRY(disk->look_at(format, member));
  const std::string device = "json:" + node_of(format, disk->file_->path(), member).dump();
  TRY(disk->start(device));
  TRY(disk->connect(TRY(identity_text(disk->file_->name(), member)), stop));
  TRY(disk->check_tables(device, stop));
  return disk;
}

Error ForeignDisk::explained(Error error) const {
  const std::string said = server_ ? server_->said() : "";
  if (said.empty() || error.code() != ErrorCode::kIo) return error;
  return {error.code(), fmt::format("{} can't be read: {}", name_, said)};
}

}  // namespace ashlar
