#include "source/queued_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ashlar {
namespace {

// How often a part is started again after a short read or an interruption.
constexpr unsigned kMaxAttempts = 8;

// Returns whether the read was only interrupted. ECANCELED: io_uring cancels the requests of a thread that
// ends, even when another thread waits for them.
bool put_off(int error_number) {
  return error_number == ECANCELED || error_number == EINTR || error_number == EAGAIN;
}

}  // namespace

QueuedReader::QueuedReader(std::string name, ByteCount size, Plan plan, Limits limits)
    : name_(std::move(name)), limits_(limits), feed_(std::move(plan), size), parts_(limits.depth) {
  CHECK(limits.part_bytes > 0 && limits.part_bytes % kBlockBytes == 0 && limits.depth > 0);
  for (std::size_t id = limits.depth; id > 0; --id) free_ids_.push_back(id - 1);
}

Result<std::optional<Run>> QueuedReader::next() {
  std::unique_lock lock(feed_.mutex());
  while (true) {
    Status status = advance();
    if (!status.ok()) return feed_.stop_locked(status.take_error());
    if (!done_.empty()) {
      Run run = std::move(done_.front());
      done_.pop_front();
      return std::optional(std::move(run));
    }
    if (feed_.ended() && active_count_ == 0) return std::optional<Run>();
    if (!driven_ && in_flight() > 0) {
      status = drive(lock);
      if (!status.ok()) return feed_.stop_locked(status.take_error());
    } else {
      feed_.changed().wait_for(lock, RunFeed::kPlanPause);
    }
  }
}

// Records the reads that have finished and starts as many as there is room for.
Status QueuedReader::advance() {
  TRY(feed_.check_locked());
  if (!driven_ && in_flight() > 0) TRY(reap());
  return start_parts();
}

Status QueuedReader::drive(std::unique_lock<std::mutex>& lock) {
  driven_ = true;
  lock.unlock();
  Status waited = wait();
  lock.lock();
  driven_ = false;
  feed_.changed().notify_all();
  TRY(std::move(waited));
  return reap();
}

Status QueuedReader::start_parts() {
  bool started = false;
  while (may_start()) {
    if (waiting_.empty()) {
      std::optional<RunTicket> ticket = TRY(feed_.take_locked());
      if (!ticket) break;
      add_run(std::move(*ticket));
    }
    const std::size_t id = free_ids_.back();
    parts_[id] = waiting_.front();
    TRY(submit(id, parts_[id]));
    free_ids_.pop_back();
    waiting_.pop_front();
    alone_in_flight_ = parts_[id].alone;
    started = true;
  }
  return started ? kick() : Status();
}

bool QueuedReader::may_start() const {
  if (free_ids_.empty() || alone_in_flight_) return false;
  return waiting_.empty() || !waiting_.front().alone || in_flight() == 0;
}

void QueuedReader::add_run(RunTicket ticket) {
  const std::size_t slot = ticket.slot;
  const std::size_t bytes = ticket.request.bytes.value;
  for (std::size_t done = 0; done < bytes; done += limits_.part_bytes) {
    waiting_.push_back(Part{slot, ticket.request.offset + ByteCount{done},
                            std::min(limits_.part_bytes, bytes - done), ticket.data + done});
  }
  CHECK(!active_[slot]);
  active_[slot] = ActiveRun{std::move(ticket), bytes, {}};
  ++active_count_;
}

Status QueuedReader::finished(std::size_t id, int error_number, std::size_t bytes) {
  Part part = parts_[id];
  free_ids_.push_back(id);
  if (part.alone) alone_in_flight_ = false;
  CHECK(bytes <= part.bytes);
  if (error_number == 0 && bytes == part.bytes) {
    part_done(part);
    return {};
  }
  if (put_off(error_number) || error_number == 0) {
    // Whole blocks that arrived are kept; the rest is read again from a block boundary.
    const std::size_t kept = bytes / kBlockBytes * kBlockBytes;
    if (kept > 0) part_done(Part{part.slot, part.offset, kept, part.data});
    return retry(Part{part.slot, part.offset + ByteCount{kept}, part.bytes - kept, part.data + kept,
                      kept > 0 ? 0 : part.attempts + 1, part.alone},
                 error_number);
  }
  if (!is_bad_medium(error_number)) {
    return Error::from_errno(error_number,
                             fmt::format("{}: read of {} bytes at {}", name_, part.bytes, part.offset.value));
  }
  if (part.bytes <= kBlockBytes) return lose_block(part);
  split_into_blocks(part);
  return {};
}

Status QueuedReader::retry(Part part, int error_number) {
  if (part.attempts < kMaxAttempts) {
    waiting_.push_front(part);
    return {};
  }
  TRY(check_alive());
  return Error::from_errno(error_number == 0 ? EIO : error_number,
                           fmt::format("{}: read of {} bytes at {}", name_, part.bytes, part.offset.value));
}

void QueuedReader::split_into_blocks(const Part& part) {
  std::deque<Part> blocks;
  for (std::size_t done = 0; done < part.bytes; done += kBlockBytes) {
    blocks.push_back(Part{part.slot, part.offset + ByteCount{done},
                          std::min<std::size_t>(kBlockBytes, part.bytes - done), part.data + done, 0, true});
  }
  waiting_.insert(waiting_.begin(), blocks.begin(), blocks.end());
}

Status QueuedReader::lose_block(const Part& part) {
  TRY(check_alive());
  std::memset(part.data, 0, part.bytes);
  active_[part.slot]->lost.push_back(lba_of(part.offset));
  part_done(part);
  return {};
}

void QueuedReader::part_done(const Part& part) {
  ActiveRun& run = *active_[part.slot];
  run.bytes_left -= part.bytes;
  if (run.bytes_left > 0) return;
  const ByteCount bytes = run.ticket.request.bytes;
  done_.push_back(finish_run(std::move(run.ticket), bytes, merge_blocks(std::move(run.lost))));
  active_[part.slot].reset();
  --active_count_;
  feed_.changed().notify_all();
}

}  // namespace ashlar
