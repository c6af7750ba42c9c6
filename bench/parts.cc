// Measures what the parts of a first capture cost alone, on one thread: a pipeline is compared with their
// sum.
//
//   parts DATA [OUTPUT]          JSON: processor seconds of each part over the bytes of DATA
//   parts --pass regions|read FILE  JSON: one pass over the data extents of FILE, with or without region
//   hashes
//
// Each part sees the bytes that it would see in a capture, in the same order and with the same locality: all
// regions are read, tested for zeros and hashed; only blocks that have not been seen before are copied into a
// segment, compressed in frames, decoded and compared, and written. Deciding which blocks are new is not one
// of the parts: the pipeline adds it.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/quantity.h"
#include "base/unique_fd.h"
#include "codec/frame.h"
#include "codec/hash.h"

namespace ashlar {
namespace {

constexpr std::size_t kRegion = 64 * 1024;
constexpr std::size_t kSegment = 4 * 1024 * 1024;
const RegionSecret kSecret = RegionSecret::random();

double thread_seconds() {
  timespec now{};
  CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Adds the processor time of its own lifetime to a part.
class Timed {
 public:
  explicit Timed(double& part) : part_(part), start_(thread_seconds()) {}
  ~Timed() { part_ += thread_seconds() - start_; }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& part_;
  double start_;
};

UniqueFd open_or_die(const char* path, int flags) {
  UniqueFd fd(::open(path, flags | O_CLOEXEC, 0644));
  if (fd.valid()) return fd;
  std::perror(path);
  std::exit(2);  // NOLINT(concurrency-mt-unsafe): one thread
}

std::size_t read_full(int fd, MutableByteSpan out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = ::read(fd, out.data() + filled, out.size() - filled);
    CHECK(got >= 0);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

void write_full(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    CHECK(put > 0);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

struct Seconds {
  double read = 0;
  double zero = 0;
  double regions = 0;
  double sha256 = 0;
  double copy = 0;
  double zstd = 0;
  double decode = 0;
  double write = 0;
};

struct PrefixHash {
  std::size_t operator()(const BlockId& id) const { return id.prefix(); }
};

class Parts {
 public:
  Parts(int source, int target) : source_(source), target_(target), context_(ZSTD_createCCtx()) {
    CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, 1)) == 0);
  }
  ~Parts() { ZSTD_freeCCtx(context_); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  void run() {
    for (;;) {
      const std::size_t size = read_run();
      if (size == 0) break;
      hash_run(ByteSpan(run_.span()).first(size));
      admit_run(ByteSpan(run_.span()).first(size));
    }
    seal();
  }

  void print() const {
    const double sum = s_.zero + s_.regions + s_.sha256 + s_.copy + s_.zstd + s_.decode;
    fmt::print(
        "{{\"bytes\": {}, \"new_bytes\": {}, \"stored_bytes\": {}, \"read\": {:.3f}, \"zero\": {:.3f}, "
        "\"regions\": {:.3f}, \"sha256\": {:.3f}, \"copy\": {:.3f}, \"zstd\": {:.3f}, \"decode\": {:.3f}, "
        "\"write\": {:.3f}, \"sum\": {:.3f}, \"sum_with_io\": {:.3f}}}\n",
        bytes_, new_bytes_, stored_bytes_, s_.read, s_.zero, s_.regions, s_.sha256, s_.copy, s_.zstd,
        s_.decode, s_.write, sum, sum + s_.read + s_.write);
  }

 private:
  // Reads the next run and returns its length in bytes, padded to whole blocks.
  std::size_t read_run() {
    const Timed timed(s_.read);
    const std::size_t size = read_full(source_, run_.span());
    const std::size_t padded = (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    std::fill(run_.data() + size, run_.data() + padded, std::byte{0});
    bytes_ += size;
    return padded;
  }

  void hash_run(ByteSpan run) {
    ids_.clear();
    for (std::size_t at = 0; at < run.size(); at += kRegion) {
      const ByteSpan region = run.subspan(at, std::min(kRegion, run.size() - at));
      zeros_ += zero_blocks(region);
      {
        const Timed timed(s_.regions);
        zeros_ += region_hash(region, kSecret).bytes[0] == std::byte{0} ? 1U : 0U;
      }
      const Timed timed(s_.sha256);
      for (std::size_t i = 0; i < region.size(); i += kBlockBytes)
        ids_.push_back(block_id(region.subspan(i, kBlockBytes)));
    }
  }

  std::size_t zero_blocks(ByteSpan region) {
    const Timed timed(s_.zero);
    std::size_t count = 0;
    for (std::size_t i = 0; i < region.size(); i += kBlockBytes)
      count += is_zero(region.subspan(i, kBlockBytes)) ? 1U : 0U;
    return count;
  }

  void admit_run(ByteSpan run) {
    std::vector<const std::byte*> fresh;
    for (std::size_t i = 0; i < ids_.size(); ++i)
      if (met_.insert(ids_[i]).second) fresh.push_back(run.data() + i * kBlockBytes);
    new_bytes_ += fresh.size() * kBlockBytes;
    for (std::size_t i = 0; i < fresh.size();) {
      const std::size_t room = std::min((kSegment - filled_) / kBlockBytes, fresh.size() - i);
      {
        const Timed timed(s_.copy);
        for (std::size_t end = i + room; i < end; ++i, filled_ += kBlockBytes)
          std::memcpy(segment_.data() + filled_, fresh[i], kBlockBytes);
      }
      if (filled_ == kSegment) seal();
    }
  }

  void seal() {
    packed_.resize(ZSTD_compressBound(kRegion));
    for (std::size_t at = 0; at < filled_; at += kRegion)
      frame(ByteSpan(segment_.span()).subspan(at, std::min(kRegion, filled_ - at)));
    filled_ = 0;
  }

  void frame(ByteSpan blocks) {
    ByteSpan stored;
    {
      const Timed timed(s_.zstd);
      const std::size_t size =
          ZSTD_compress2(context_, packed_.data(), packed_.size(), blocks.data(), blocks.size());
      CHECK(ZSTD_isError(size) == 0);
      stored = ByteSpan(packed_).first(size);
    }
    {
      const Timed timed(s_.decode);
      const MutableByteSpan back = decoded_.span().first(blocks.size());
      decoder_.decode(FrameCodec::kZstd, stored, back).take();
      CHECK(bytes_equal(back, blocks));
    }
    const Timed timed(s_.write);
    write_full(target_, stored);
    stored_bytes_ += stored.size();
  }

  int source_;
  int target_;
  ZSTD_CCtx* context_;
  FrameDecoder decoder_;
  AlignedBuffer run_{kSegment};
  AlignedBuffer segment_{kSegment};
  AlignedBuffer decoded_{kRegion};
  ByteVector packed_;
  std::vector<BlockId> ids_;
  std::unordered_set<BlockId, PrefixHash> met_;
  std::size_t filled_ = 0;
  std::uint64_t zeros_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t new_bytes_ = 0;
  std::uint64_t stored_bytes_ = 0;
  Seconds s_;
};

// Reads, and on demand hashes, the data extents in pieces of 1 MiB, and prints bytes and times.
void pass(int fd, bool hash) {
  AlignedBuffer buffer(1024 * 1024);
  std::uint64_t bytes = 0;
  unsigned seen = 0;
  const double start = monotonic_seconds();
  const double cpu = thread_seconds();
  off_t end = 0;
  for (off_t at = 0; (at = ::lseek(fd, end, SEEK_DATA)) >= 0;) {
    end = ::lseek(fd, at, SEEK_HOLE);
    while (at < end) {
      const std::size_t want = std::min(buffer.size(), static_cast<std::size_t>(end - at));
      const ssize_t got = ::pread(fd, buffer.data(), want, at);
      CHECK(got > 0);
      const ByteSpan piece = ByteSpan(buffer.span()).first(static_cast<std::size_t>(got));
      for (std::size_t i = 0; hash && i < piece.size(); i += kRegion)
        seen ^= static_cast<unsigned>(
            region_hash(piece.subspan(i, std::min(kRegion, piece.size() - i)), kSecret).bytes[0]);
      at += got;
      bytes += piece.size();
    }
  }
  fmt::print("{{\"bytes\": {}, \"seconds\": {:.4f}, \"cpu_seconds\": {:.4f}, \"check\": {}}}\n", bytes,
             monotonic_seconds() - start, thread_seconds() - cpu, seen);
}

int run_program(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--pass") {
    pass(open_or_die(argv[3], O_RDONLY).get(), std::string_view(argv[2]) == "regions");
    return 0;
  }
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: parts DATA [OUTPUT] | parts --pass regions|read FILE\n");
    return 2;
  }
  const UniqueFd source = open_or_die(argv[1], O_RDONLY);
  const UniqueFd target = open_or_die(argc == 3 ? argv[2] : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC);
  Parts parts(source.get(), target.get());
  parts.run();
  parts.print();
  return 0;
}

}  // namespace
}  // namespace ashlar

int main(int argc, char** argv) { return ashlar::run_program(argc, argv); }
