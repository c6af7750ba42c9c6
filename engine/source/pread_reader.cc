#include "source/pread_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/interrupted.h"

namespace ashlar {
namespace {

// The result of reading into a buffer: the number of bytes read, and the errno that ended it (0 also at the
// end of the file).
struct ReadOutcome {
  std::size_t bytes = 0;
  int error_number = 0;
};

ReadOutcome read_fully(int fd, ByteOffset offset, MutableByteSpan out) {
  ReadOutcome outcome;
  while (outcome.bytes < out.size()) {
    const ssize_t got = ::pread(fd, out.data() + outcome.bytes, out.size() - outcome.bytes,
                                static_cast<off_t>(offset.value + outcome.bytes));
    if (got > 0) {
      outcome.bytes += static_cast<std::size_t>(got);
    } else if (got == 0 || errno != EINTR) {
      outcome.error_number = got == 0 ? 0 : errno;
      break;
    }
  }
  return outcome;
}

Error read_error(const OpenFile& file, ByteOffset offset, std::size_t bytes, int error_number) {
  return Error::from_errno(error_number,
                           fmt::format("{}: read of {} bytes at {}", file.name, bytes, offset.value));
}

// Opens the same file again, past the page cache: readahead around a bad sector must not make its neighbours
// fail.
UniqueFd reopen_direct(const OpenFile& file) {
  const std::string path = fmt::format("/proc/self/fd/{}", file.fd.get());
  return UniqueFd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC); }));
}

ReadOutcome read_block(const OpenFile& file, const UniqueFd& direct, ByteOffset offset, MutableByteSpan out) {
  if (direct.valid()) {
    const ReadOutcome outcome = read_fully(direct.get(), offset, out);
    if (outcome.error_number != EINVAL && outcome.bytes == out.size()) return outcome;
    if (is_bad_medium(outcome.error_number)) return outcome;
  }
  return read_fully(file.fd.get(), offset, out);
}

// Reads block by block from `from` on and collects the blocks that are lost.
Status read_by_block(const OpenFile& file, ByteOffset from, MutableByteSpan out, std::vector<Lba>& lost) {
  const UniqueFd direct = reopen_direct(file);
  for (std::size_t done = 0; done < out.size(); done += kBlockBytes) {
    const MutableByteSpan block = out.subspan(done, std::min<std::size_t>(kBlockBytes, out.size() - done));
    const ByteOffset offset = from + ByteCount{done};
    const ReadOutcome outcome = read_block(file, direct, offset, block);
    if (outcome.bytes == block.size()) continue;
    TRY(check_not_shrunk(file));
    if (!is_bad_medium(outcome.error_number)) {
      return read_error(file, offset, block.size(), outcome.error_number == 0 ? EIO : outcome.error_number);
    }
    std::memset(block.data(), 0, block.size());
    lost.push_back(lba_of(offset));
  }
  return {};
}

}  // namespace

Status check_not_shrunk(const OpenFile& file) {
  const ByteCount now = TRY(file.size_now());
  if (now >= file.size) return {};
  return Error(ErrorCode::kIo, fmt::format("{}: source shrank while it was read (was {} bytes, is {})",
                                           file.name, file.size.value, now.value));
}

PreadReader::PreadReader(std::shared_ptr<const OpenFile> file, Plan plan)
    : file_(std::move(file)), feed_(std::move(plan), file_->size) {}

Result<std::optional<Run>> PreadReader::next() {
  std::optional<RunTicket> ticket = TRY(feed_.take());
  if (!ticket) return std::optional<Run>();
  Result<Run> run = fill(std::move(*ticket));
  if (!run.ok()) return feed_.stop(run.take_error());
  return std::optional(run.take());
}

Result<Run> PreadReader::fill(RunTicket ticket) const {
  const RunRequest& wanted = ticket.request;
  const MutableByteSpan out(ticket.data, wanted.bytes.value);
  const ReadOutcome outcome = read_fully(file_->fd.get(), wanted.offset, out);
  std::vector<Lba> lost;
  if (outcome.bytes < out.size()) {
    TRY(check_not_shrunk(*file_));
    if (!is_bad_medium(outcome.error_number)) {
      return read_error(*file_, wanted.offset, out.size(),
                        outcome.error_number == 0 ? EIO : outcome.error_number);
    }
    const std::size_t good = outcome.bytes / kBlockBytes * kBlockBytes;
    TRY(read_by_block(*file_, wanted.offset + ByteCount{good}, out.subspan(good), lost));
  }
  return finish_run(std::move(ticket), wanted.bytes, merge_blocks(std::move(lost)));
}

}  // namespace ashlar
