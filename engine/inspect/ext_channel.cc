#include "inspect/ext_channel.h"

#include <algorithm>
#include <utility>

namespace ashlar {
namespace {

// The channel that is being opened: libext2fs gives open() of a manager a name only.
thread_local ExtChannel* opening = nullptr;

// Converts a count of io_channel_read_blk(): blocks, or bytes as a negative number.
std::uint64_t bytes_of(int count, int block_size) {
  if (count < 0) return static_cast<std::uint64_t>(-static_cast<std::int64_t>(count));
  return static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(block_size);
}

}  // namespace

// The functions that libext2fs calls on a channel.
struct ExtChannel::Calls {
  static errcode_t open(const char*, int, io_channel* out) {
    *out = &opening->channel_;
    return 0;
  }
  static errcode_t close(io_channel) { return 0; }
  static errcode_t set_block_size(io_channel channel, int size) {
    channel->block_size = size;
    return 0;
  }
  static errcode_t read(io_channel channel, unsigned long long block, int count, void* out) {
    return static_cast<ExtChannel*>(channel->private_data)->read(block, count, out);
  }
  static errcode_t read_short(io_channel channel, unsigned long block, int count, void* out) {
    return read(channel, block, count, out);
  }
  static errcode_t write(io_channel, unsigned long long, int, const void*) { return EXT2_ET_RO_FILSYS; }
  static errcode_t write_short(io_channel, unsigned long, int, const void*) { return EXT2_ET_RO_FILSYS; }
  static errcode_t flush(io_channel) { return 0; }

  static struct_io_manager* manager() {
    static struct_io_manager calls = [] {
      struct_io_manager made{};
      made.magic = EXT2_ET_MAGIC_IO_MANAGER;
      made.name = "ashlar";
      made.open = open;
      made.close = close;
      made.set_blksize = set_block_size;
      made.read_blk = read_short;
      made.read_blk64 = read;
      made.write_blk = write_short;
      made.write_blk64 = write;
      made.flush = flush;
      return made;
    }();
    return &calls;
  }
};

ExtChannel::ExtChannel(const DiskPart& part, Budget& budget, std::stop_token stop)
    : part_(part), budget_(budget), stop_(std::move(stop)) {
  channel_.magic = EXT2_ET_MAGIC_IO_CHANNEL;
  channel_.manager = Calls::manager();
  channel_.block_size = EXT2_MIN_BLOCK_SIZE;
  channel_.refcount = 1;
  channel_.private_data = this;
}

errcode_t ExtChannel::open(int flags, ext2_filsys* file_system) {
  opening = this;
  const errcode_t failed = ext2fs_open2("", nullptr, flags, 0, 0, Calls::manager(), file_system);
  opening = nullptr;
  return failed;
}

errcode_t ExtChannel::read(std::uint64_t block, int count, void* out) {
  if (stop_.stop_requested()) {
    if (!failure_) failure_ = cancelled();
    return EXT2_ET_SHORT_READ;
  }
  const std::uint64_t bytes = bytes_of(count, channel_.block_size);
  const auto offset = checked_mul(block, static_cast<std::uint64_t>(channel_.block_size));
  if (!offset || !part_.contains(*offset, bytes)) return EXT2_ET_SHORT_READ;
  const std::uint64_t cost = std::max(bytes, kBlockBytes);
  if (cost > budget_.read_bytes) {
    is_exhausted_ = true;
    return EXT2_ET_SHORT_READ;
  }
  budget_.read_bytes -= cost;
  Status read = part_.read(*offset, {static_cast<std::byte*>(out), bytes});
  if (read.ok()) return 0;
  if (!failure_) failure_ = read.take_error();
  return EXT2_ET_SHORT_READ;
}

}  // namespace ashlar
