#include "source/run_feed.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ashlar {

RunFeed::RunFeed(RunReader::Plan plan, std::optional<ByteCount> size) : plan_(std::move(plan)), size_(size) {
  pool_->buffers.reserve(RunReader::kRunBuffers);
  pool_->free.reserve(RunReader::kRunBuffers);
}

std::shared_ptr<void> RunFeed::lease(const std::shared_ptr<Pool>& pool, std::size_t slot) {
  return {pool->buffers[slot].data(), [pool, slot](void*) {
            const std::lock_guard lock(pool->mutex);
            pool->free.push_back(slot);
            pool->changed.notify_all();
          }};
}

std::optional<std::size_t> RunFeed::free_slot() {
  if (!pool_->free.empty()) {
    const std::size_t slot = pool_->free.back();
    pool_->free.pop_back();
    return slot;
  }
  if (pool_->buffers.size() == RunReader::kRunBuffers) return std::nullopt;
  pool_->buffers.emplace_back(kLeafBytes);
  return pool_->buffers.size() - 1;
}

std::vector<MutableByteSpan> RunFeed::all_buffers() {
  while (pool_->buffers.size() < RunReader::kRunBuffers) {
    pool_->free.push_back(pool_->buffers.size());
    pool_->buffers.emplace_back(kLeafBytes);
  }
  std::vector<MutableByteSpan> all;
  for (AlignedBuffer& buffer : pool_->buffers) all.push_back(buffer.span());
  return all;
}

Result<std::optional<RunTicket>> RunFeed::take_locked() {
  TRY(check_locked());
  if (ended_) return std::optional<RunTicket>();
  const std::optional<std::size_t> slot = free_slot();
  if (!slot) return std::optional<RunTicket>();
  Result<std::optional<RunRequest>> request = plan_();
  if (!request.ok() || !request.value()) {
    pool_->free.push_back(*slot);
    ended_ = true;
    pool_->changed.notify_all();
    if (!request.ok()) return stop_locked(request.take_error());
    return std::optional<RunTicket>();
  }
  const RunRequest wanted = *request.value();
  if (wanted.bytes.value == 0) {
    pool_->free.push_back(*slot);
    return std::optional<RunTicket>();
  }
  CHECK(wanted.offset.value % kBlockBytes == 0);
  CHECK(wanted.bytes.value <= kLeafBytes);
  CHECK(!size_ || wanted.offset.value + wanted.bytes.value <= size_->value);
  return std::optional(RunTicket{wanted, *slot, pool_->buffers[*slot].data(), lease(pool_, *slot)});
}

Status RunFeed::check_locked() const {
  if (failure_) return Error(failure_->first, failure_->second);
  return {};
}

Result<std::optional<RunTicket>> RunFeed::take() {
  std::unique_lock lock(pool_->mutex);
  while (true) {
    std::optional<RunTicket> ticket = TRY(take_locked());
    if (ticket || ended_) return ticket;
    pool_->changed.wait_for(lock, kPlanPause);
  }
}

Error RunFeed::stop(Error error) {
  const std::lock_guard lock(pool_->mutex);
  return stop_locked(std::move(error));
}

Error RunFeed::stop_locked(Error error) {
  if (!failure_) failure_.emplace(error.code(), error.text());
  ended_ = true;
  pool_->changed.notify_all();
  return {failure_->first, failure_->second};
}

void RunFeed::finish() {
  const std::lock_guard lock(pool_->mutex);
  ended_ = true;
  pool_->changed.notify_all();
}

Run finish_run(RunTicket ticket, ByteCount filled, std::vector<BlockRange> unreadable) {
  const std::uint64_t padded = byte_count(blocks_covering(filled)).value;
  std::memset(ticket.data + filled.value, 0, padded - filled.value);
  Run run;
  run.ordinal = ticket.request.ordinal;
  run.offset = ticket.request.offset;
  run.bytes = MutableByteSpan(ticket.data, padded);
  run.unreadable = std::move(unreadable);
  run.buffer = std::move(ticket.buffer);
  return run;
}

bool is_bad_medium(int error_number) {
  switch (error_number) {
    case EIO:
    case EREMOTEIO:  // a failure of the target, as the block layer reports it
    case ENODATA:    // a medium error, as the block layer reports it
    case EILSEQ:     // a mismatch of protection information
    case EBADMSG:    // a checksum mismatch in a file system
      return true;
    default:
      return false;
  }
}

std::vector<BlockRange> merge_blocks(std::vector<Lba> blocks) {
  std::sort(blocks.begin(), blocks.end());
  std::vector<BlockRange> ranges;
  for (const Lba block : blocks) {
    if (!ranges.empty() && ranges.back().end() == block) {
      ranges.back().count += BlockCount{1};
    } else {
      ranges.push_back({block, BlockCount{1}});
    }
  }
  return ranges;
}

}  // namespace ashlar
