#include "io/queued_writer.h"

#include <fmt/format.h>
#include <liburing.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace ashlar {

namespace {

constexpr std::size_t kMaxWriteBytes = std::size_t{1} << 30;  // a completion counts bytes in 32 bits

struct Write {
  std::uint64_t offset = 0;
  ByteSpan left;
  std::shared_ptr<const void> owner;
};

struct Failure {
  int error_number;
  std::string text;
};

}  // namespace

// A single mutex guards the ring and all members below it. Handing a write to the kernel takes about a
// microsecond. A thread waits for a completion with the mutex held in two cases only: when the queue is full,
// so that others could not submit either, and in drain().
struct QueuedWriter::State {
  State(BlockDevice& device, const QueueOptions& options);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Status failed() const;
  void fail(int error_number, const Write& write);
  void start(unsigned slot);
  void release(unsigned slot);
  void reap_one();
  void reap_all();
  void complete(unsigned slot, int result);

  BlockDevice& target;
  std::mutex mutex;
  io_uring ring{};
  bool has_ring = false;
  std::vector<Write> slots;
  std::vector<unsigned> free_slots;
  std::optional<Failure> failure;
  bool is_broken = false;  // the ring tells of no more completions
};

QueuedWriter::State::State(BlockDevice& device, const QueueOptions& options)
    : target(device), slots(std::clamp(options.depth, 1U, 4096U)) {
  const auto depth = static_cast<unsigned>(slots.size());
  const bool wanted = options.io_uring.value_or(target.is_device());
  has_ring = wanted && ::io_uring_queue_init(depth, &ring, 0) == 0;
  for (unsigned slot = depth; slot > 0; --slot) free_slots.push_back(slot - 1);
}

QueuedWriter::State::~State() {
  if (!has_ring) return;
  reap_all();
  // The kernel may still read the buffers of writes that can't be waited for: they are never freed.
  if (is_broken) static_cast<void>(new std::vector<Write>(std::move(slots)));
  ::io_uring_queue_exit(&ring);
}

Status QueuedWriter::State::failed() const {
  if (!failure) return {};
  return Error::from_errno(failure->error_number, failure->text);
}

void QueuedWriter::State::fail(int error_number, const Write& write) {
  if (failure) return;
  failure = Failure{error_number, fmt::format("write {} bytes at {} of {}", write.left.size(), write.offset,
                                              target.path())};
}

// Starts the write of a slot. A slot never has two writes in the ring, and the ring has as many entries as
// there are slots, so an entry is always free.
void QueuedWriter::State::start(unsigned slot) {
  const Write& write = slots[slot];
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
  CHECK(entry != nullptr);
  ::io_uring_prep_write(entry, target.write_fd(ByteOffset{write.offset}, write.left), write.left.data(),
                        static_cast<unsigned>(write.left.size()), write.offset);
  ::io_uring_sqe_set_data64(entry, slot);
  int submitted = 0;
  do {
    submitted = ::io_uring_submit(&ring);
  } while (submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY);
  if (submitted == 1) return;
  // The entry stays in the ring and is never submitted, because nothing is after a failure.
  fail(submitted < 0 ? -submitted : EIO, write);
  release(slot);
}

void QueuedWriter::State::release(unsigned slot) {
  slots[slot] = Write{};
  free_slots.push_back(slot);
}

// Waits for all writes in the ring.
void QueuedWriter::State::reap_all() {
  while (free_slots.size() < slots.size() && !is_broken) reap_one();
}

void QueuedWriter::State::reap_one() {
  io_uring_cqe* event = nullptr;
  int waited = 0;
  do {
    waited = ::io_uring_wait_cqe(&ring, &event);
  } while (waited == -EINTR || waited == -EAGAIN);
  if (waited != 0) {
    fail(-waited, {});
    is_broken = true;
    return;
  }
  const auto slot = static_cast<unsigned>(::io_uring_cqe_get_data64(event));
  const int result = event->res;
  ::io_uring_cqe_seen(&ring, event);
  complete(slot, result);
}

// Takes the completion of a slot. A short write continues with the rest; a write of 0 bytes counts as an
// error, because it would continue for ever. The kernel cancels the writes of a thread that ends; the thread
// that reaps such a write starts it once more.
void QueuedWriter::State::complete(unsigned slot, int result) {
  Write& write = slots[slot];
  const bool must_repeat = result == -EINTR || result == -EAGAIN || result == -ECANCELED;
  if (must_repeat && !failure) return start(slot);
  if (result <= 0) {
    fail(result == 0 ? EIO : -result, write);
  } else {
    write.offset += static_cast<std::uint64_t>(result);
    write.left = write.left.subspan(static_cast<std::size_t>(result));
    if (!write.left.empty() && !failure) return start(slot);
  }
  release(slot);
}

QueuedWriter::QueuedWriter(BlockDevice& target, const QueueOptions& options)
    : state_(std::make_unique<State>(target, options)) {}
QueuedWriter::~QueuedWriter() = default;

bool QueuedWriter::uses_io_uring() const { return state_->has_ring; }

Status QueuedWriter::submit(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner) {
  TRY(state_->target.check_range(offset, bytes.size()));
  if (bytes.size() > kMaxWriteBytes)
    return invalid(fmt::format("a write of {} bytes is too long", bytes.size()));
  std::unique_lock lock(state_->mutex);
  TRY(state_->failed());
  if (bytes.empty()) return {};
  if (!state_->has_ring) {
    lock.unlock();
    Status written = state_->target.write(offset, bytes);
    if (written.ok()) return {};
    lock.lock();
    state_->fail(written.error().error_number(), {offset.value, bytes, nullptr});
    return state_->failed();
  }
  while (state_->free_slots.empty() && !state_->is_broken) state_->reap_one();
  TRY(state_->failed());
  const unsigned slot = state_->free_slots.back();
  state_->free_slots.pop_back();
  state_->slots[slot] = Write{offset.value, bytes, std::move(owner)};
  state_->start(slot);
  return {};
}

Status QueuedWriter::submit(ByteOffset offset, AlignedBuffer buffer, std::size_t length) {
  CHECK(length <= buffer.size());
  const auto owner = std::make_shared<const AlignedBuffer>(std::move(buffer));
  return submit(offset, owner->span().first(length), owner);
}

Status QueuedWriter::drain() {
  const std::lock_guard lock(state_->mutex);
  if (state_->has_ring) state_->reap_all();
  return state_->failed();
}

}  // namespace ashlar
