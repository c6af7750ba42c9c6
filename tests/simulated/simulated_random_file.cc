#include "simulated/simulated_random_file.h"

#include <fmt/format.h>

#include "base/checked.h"

namespace ashlar {

namespace {

using Disk = std::shared_ptr<SimulatedDisk>;
using Node = SimulatedNode::Ref;
using Space = SimulatedDisk::Space;
using Guard = std::lock_guard<std::mutex>;

class SimulatedRandomFile : public RandomFile {
 public:
  SimulatedRandomFile(Disk disk, Node node, std::string path)
      : disk_(std::move(disk)), node_(std::move(node)), path_(std::move(path)), epoch_(disk_->epoch) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    const Guard guard(disk_->mutex);
    TRY(disk_->alive(epoch_));
    return node_->sectors->read(offset, out);
  }

  Status write_at(std::uint64_t offset, ByteSpan bytes) override {
    const Guard guard(disk_->mutex);
    TRY(usable(offset, bytes.size()));
    Status begun =
        begin(fmt::format("write {} bytes at {} of {}", bytes.size(), offset, path_), offset, bytes.size());
    // Any sectors of a write that fails, or that the power loss interrupts, may arrive; where the disk is
    // full only those that have space.
    const bool has_room = !is(begun, ErrorCode::kExhausted);
    node_->sectors->write(offset, bytes, begun.ok() ? nullptr : &disk_->torn, has_room);
    return begun;
  }

  Status zero(std::uint64_t offset, std::uint64_t bytes, ZeroSpace space) override {
    const Guard guard(disk_->mutex);
    TRY(usable(offset, bytes));
    const bool frees = space == ZeroSpace::kFree;
    const std::string what =
        fmt::format("{} {} bytes at {} of {}", frees ? "punch" : "zero", bytes, offset, path_);
    Status begun = frees ? disk_->begin(what, Space::kNeedsNone) : begin(what, offset, bytes);
    node_->sectors->zero(offset, bytes, frees, begun.ok() ? nullptr : &disk_->torn);
    return begun;
  }

  Status allocate(std::uint64_t offset, std::uint64_t bytes) override {
    const Guard guard(disk_->mutex);
    TRY(usable(offset, bytes));
    TRY(begin(fmt::format("reserve {} bytes at {} of {}", bytes, offset, path_), offset, bytes));
    node_->sectors->take_space(offset, bytes);
    return {};
  }

  Status resize(std::uint64_t bytes) override {
    const Guard guard(disk_->mutex);
    TRY(usable(0, 0));
    TRY(disk_->begin(fmt::format("resize {} to {} bytes", path_, bytes), Space::kTakes));
    node_->sectors->resize(bytes);
    return {};
  }

  Status sync() override {
    const Guard guard(disk_->mutex);
    TRY(usable(0, 0));
    Status begun = disk_->begin("sync " + path_, Space::kNeedsNone);
    if (begun.ok()) {
      node_->sectors->sync();
    } else if (!disk_->stopped) {
      poisoned_ = true;
      node_->sectors->lose_unsynced();
    }
    return begun;
  }

  Result<std::uint64_t> size() const override {
    const Guard guard(disk_->mutex);
    TRY(disk_->alive(epoch_));
    return node_->sectors->size();
  }

 private:
  Status usable(std::uint64_t offset, std::uint64_t bytes) const {
    TRY(disk_->alive(epoch_));
    if (poisoned_) return Error(ErrorCode::kIo, path_ + ": a sync failed before; it takes nothing more");
    const auto end = checked_add(offset, bytes);
    if (end && *end <= node_->sectors->size()) return {};
    return invalid(fmt::format("{} bytes at {} of {}: past its end", bytes, offset, path_));
  }

  Status begin(std::string what, std::uint64_t offset, std::uint64_t bytes) {
    const bool there = node_->sectors->has_space(offset, bytes);
    return disk_->begin(std::move(what), there ? Space::kNeedsNone : Space::kTakes);
  }

  Disk disk_;
  Node node_;
  std::string path_;
  std::uint64_t epoch_;
  bool poisoned_ = false;
};

}  // namespace

std::unique_ptr<RandomFile> open_simulated_random(std::shared_ptr<SimulatedDisk> disk,
                                                  SimulatedNode::Ref node, std::string path) {
  return std::make_unique<SimulatedRandomFile>(std::move(disk), std::move(node), std::move(path));
}

}  // namespace ashlar
