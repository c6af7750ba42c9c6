#include "foreign_disk.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "base/clock.h"
#include "disk/header_check.h"
#include "host/attach_method.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr double kStartSeconds = 60;
constexpr double kPauseSeconds = 0.01;
constexpr double kLookSeconds = 0.05;
constexpr std::chrono::milliseconds kLook{20};

// At the end of what is asked for, the file must be as it was, or the capture fails.
class WatchedReader : public RunReader {
 public:
  WatchedReader(std::unique_ptr<RunReader> reader, std::shared_ptr<const HeldFile> file)
      : reader_(std::move(reader)), file_(std::move(file)) {}

  Result<std::optional<Run>> next() override {
    auto run = reader_->next();
    if (run.ok() && !run.value()) TRY(file_->check_unchanged());
    return run;
  }
  void cancel() override { reader_->cancel(); }

 private:
  std::unique_ptr<RunReader> reader_;
  const std::shared_ptr<const HeldFile> file_;
};

// A disk under the name and identity of the file behind it: it is found as the parent of the next import from
// there.
class WatchedSource : public Source {
 public:
  WatchedSource(std::unique_ptr<Source> source, std::shared_ptr<const HeldFile> file, std::string name,
                std::string identity)
      : source_(std::move(source)),
        file_(std::move(file)),
        name_(std::move(name)),
        identity_(std::move(identity)) {}

  SourceType type() const override { return SourceType::kFile; }
  const std::string& name() const override { return name_; }
  std::string identity() const override { return identity_; }
  std::optional<ByteCount> size() const override { return source_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override { return source_->next_extent(offset); }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(
        std::make_unique<WatchedReader>(TRY(source_->read(std::move(plan))), file_));
  }

 private:
  std::unique_ptr<Source> source_;
  const std::shared_ptr<const HeldFile> file_;
  const std::string name_;
  const std::string identity_;
};

// Returns the block device that qemu-nbd opens, with every property stated.
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

Status ForeignDisk::look_at(DiskFormat format, const std::optional<OvaMember>& member) {
  const auto opened = TRY(posix_file_system().open(file_->path(), ReadMode::kCached));
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

// qemu-nbd listens before it opens the disk. One that accepts and then says nothing would hold us for ever:
// its end is what ends the handshake.
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
  const std::string uri = nbd_uri({directory_.path() + "/nbd.sock", ""});
  const double deadline = monotonic_seconds() + kStartSeconds;
  for (;;) {
    auto source = shake_hands(uri, deadline, stop);
    if (source.ok()) {
      source_ = std::make_unique<WatchedSource>(source.take(), file_, name_, std::move(identity));
      return {};
    }
    if (!server_) return source.take_error();
    if (stop.stop_requested()) return cancelled();
    if (server_->wait(kPauseSeconds)) {  // it ends when it can't open the disk
      TRY(server_->outcome().with_context(name_));
      return source.take_error().with_context(name_);  // of what was served, ours is the complaint
    }
    if (monotonic_seconds() > deadline) return busy(name_ + ": qemu-nbd does not answer");
  }
}

// Its exit status says all: of an image that was not closed well it lists every cluster.
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
    return corrupt(name_ + " is damaged, or a part of it is missing: 'qemu-img check' says more of it");
  if (!status) return qemu_img->outcome().with_context(name_);
  return Error(ErrorCode::kIo, fmt::format("{}: 'qemu-img check' can't look through it (exit status {}): run "
                                           "it yourself, it says why",
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
    disk->source_ = std::make_unique<WatchedSource>(std::move(source), disk->file_, disk->name_, identity);
    return disk;
  }
  TRY(disk->look_at(format, member));
  const std::string device = "json:" + block_device(format, disk->file_->path(), member).dump();
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
