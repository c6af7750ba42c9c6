// UringReader: reads runs over io_uring, in parts of 1 MiB into buffers that are registered once, so that the
// kernel need not pin and map their pages for every read.
//
// The submission side of the ring is used under the feed's lock. The completion side is used by the one
// thread that waits, or under the lock while no thread waits. A ring needs no further exclusion.
#include <fmt/format.h>
#include <liburing.h>

#include "source/device_source.h"
#include "source/queued_reader.h"

namespace ashlar {
namespace {

constexpr std::size_t kPartBytes = std::size_t{1} << 20U;
constexpr std::size_t kDepth = 64;

class UringReader : public QueuedReader {
 public:
  UringReader(std::shared_ptr<const OpenFile> file, Plan plan)
      : QueuedReader(file->name, file->size, std::move(plan), {kPartBytes, kDepth}), file_(std::move(file)) {}

  ~UringReader() override {
    if (!ready_) return;
    io_uring_cqe* cqe = nullptr;
    while (in_kernel_ > 0) {
      if (io_uring_wait_cqe(&ring_, &cqe) != 0) continue;
      io_uring_cqe_seen(&ring_, cqe);
      --in_kernel_;
    }
    io_uring_queue_exit(&ring_);
  }

  Status start() {
    const int made = io_uring_queue_init(kDepth, &ring_, 0);
    if (made < 0) return unsupported(fmt::format("{}: io_uring is refused (errno {})", file_->name, -made));
    ready_ = true;
    std::vector<iovec> buffers;
    for (const MutableByteSpan buffer : feed().all_buffers())
      buffers.push_back({buffer.data(), buffer.size()});
    // A low RLIMIT_MEMLOCK makes this fail; plain reads work too, at a higher cost.
    registered_ =
        io_uring_register_buffers(&ring_, buffers.data(), static_cast<unsigned>(buffers.size())) == 0;
    return {};
  }

 protected:
  Status submit(std::size_t id, const Part& part) override {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    CHECK(sqe != nullptr);
    const auto bytes = static_cast<unsigned>(part.bytes);
    if (registered_) {
      io_uring_prep_read_fixed(sqe, file_->fd.get(), part.data, bytes, part.offset.value,
                               static_cast<int>(part.slot));
    } else {
      io_uring_prep_read(sqe, file_->fd.get(), part.data, bytes, part.offset.value);
    }
    io_uring_sqe_set_data64(sqe, id);
    return {};
  }

  Status kick() override {
    while (io_uring_sq_ready(&ring_) > 0) {
      const int sent = io_uring_submit(&ring_);
      if (sent >= 0) {
        in_kernel_ += static_cast<std::size_t>(sent);
      } else if (sent != -EINTR && sent != -EAGAIN && sent != -EBUSY) {
        return Error::from_errno(-sent, file_->name + ": submitting reads");
      } else if (in_kernel_ > 0) {
        return {};  // the rest is submitted after the next completion
      }
    }
    return {};
  }

  Status wait() override {
    io_uring_cqe* cqe = nullptr;
    const int got = io_uring_wait_cqe(&ring_, &cqe);
    if (got < 0 && got != -EINTR) return Error::from_errno(-got, file_->name + ": waiting for reads");
    return {};
  }

  Status reap() override {
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
      const std::size_t id = io_uring_cqe_get_data64(cqe);
      const int result = cqe->res;
      io_uring_cqe_seen(&ring_, cqe);
      --in_kernel_;
      TRY(finished(id, result < 0 ? -result : 0, result < 0 ? 0 : static_cast<std::size_t>(result)));
    }
    return kick();
  }

  Status check_alive() override { return check_not_shrunk(*file_); }

 private:
  std::shared_ptr<const OpenFile> file_;
  io_uring ring_{};
  bool ready_ = false;
  bool registered_ = false;
  std::size_t in_kernel_ = 0;
};

}  // namespace

Result<std::unique_ptr<RunReader>> make_uring_reader(std::shared_ptr<const OpenFile> file,
                                                     RunReader::Plan plan) {
  auto reader = std::make_unique<UringReader>(std::move(file), std::move(plan));
  TRY(reader->start());
  return std::unique_ptr<RunReader>(std::move(reader));
}

}  // namespace ashlar
