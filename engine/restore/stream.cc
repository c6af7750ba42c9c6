// restore_stream(): several threads read leaves in batches, and one thread writes them in order.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/parallel.h"
#include "io/descriptor.h"
#include "manifest/subtree.h"
#include "restore/leaf_reader.h"
#include "restore/restore.h"

namespace ashlar {
namespace {

constexpr std::size_t kBatchLeaves = 16;  // 4 MiB each in memory

class Streamer {
 public:
  Streamer(const ReadParts& parts, const SnapshotRecord& snapshot, int fd, RestoreProgress& progress,
           const std::stop_token& stop)
      : parts_(parts),
        snapshot_(snapshot),
        root_(tree_root(snapshot)),
        fd_(fd),
        progress_(progress),
        stop_(stop) {}

  Result<RestoreReport> run() {
    progress_.total_bytes = snapshot_.size.value;
    LeafCursor cursor(parts_.nodes, root_);
    const std::uint64_t leaves = leaf_count(root_.blocks);
    std::vector<LeafSpan> batch;
    for (std::uint64_t leaf = 0; leaf < leaves;) {
      const LeafSpan span = TRY(cursor.at(leaf));
      leaf += span.count;
      if (span.ref.is_node()) {
        batch.push_back(span);
        if (batch.size() == kBatchLeaves) TRY(write_batch(std::exchange(batch, {})));
      } else {
        TRY(write_batch(std::exchange(batch, {})));
        TRY(write_zeros(span));
      }
    }
    TRY(write_batch(std::move(batch)));
    return report_;
  }

 private:
  // Returns the number of bytes of the volume in at most `leaves` leaves from leaf `first` on.
  std::uint64_t bytes_in(std::uint64_t first, std::uint64_t leaves) const {
    return std::min(snapshot_.size.value, (first + leaves) * kLeafBytes) - first * kLeafBytes;
  }

  Status write_batch(std::vector<LeafSpan> batch) {
    std::vector<AlignedBuffer> buffers(batch.size());
    TRY(parallel_for(batch.size(), processor_count(), stop_, [&](std::size_t i) -> Status {
      const BlockCount blocks = leaf_blocks(root_.blocks, batch[i].first);
      const auto leaf = TRY(load_leaf(parts_.nodes, batch[i].ref, blocks));
      buffers[i] = AlignedBuffer(leaf->block_count() * kBlockBytes);
      return read_leaf(parts_.segments, *leaf, Lba{batch[i].first * kLeafBlocks}, buffers[i].span());
    }));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      TRY(write(buffers[i].span().first(bytes_in(batch[i].first, 1))));
    }
    return {};
  }

  Status write_zeros(const LeafSpan& span) {
    AlignedBuffer zeros(kLeafBytes);
    std::memset(zeros.data(), 0, zeros.size());
    for (std::uint64_t left = bytes_in(span.first, span.count); left > 0;) {
      if (stop_.stop_requested()) return cancelled();
      const std::uint64_t step = std::min<std::uint64_t>(left, zeros.size());
      TRY(write(zeros.span().first(step)));
      left -= step;
    }
    return {};
  }

  Status write(ByteSpan bytes) {
    TRY(write_all(fd_, bytes, "the stream"));
    report_.written_bytes += ByteCount{bytes.size()};
    progress_.written_bytes += bytes.size();
    progress_.done_bytes += bytes.size();
    return {};
  }

  const ReadParts& parts_;
  const SnapshotRecord& snapshot_;
  const TreeRoot root_;
  int fd_;
  RestoreProgress& progress_;
  const std::stop_token& stop_;
  RestoreReport report_;
};

}  // namespace

Result<RestoreReport> restore_stream(const ReadParts& parts, const SnapshotRecord& snapshot, int fd,
                                     RestoreProgress& progress, const std::stop_token& stop) {
  return Streamer(parts, snapshot, fd, progress, stop).run();
}

}  // namespace ashlar
