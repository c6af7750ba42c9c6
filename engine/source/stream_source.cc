#include "source/stream_source.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>

#include "source/run_feed.h"

namespace ashlar {
namespace {

struct Stream {
  UniqueFd fd;
  UniqueFd wake;  // an eventfd that ends a wait for the stream; without it a wait cannot be cancelled
  std::string name;
  std::optional<ByteCount> expected;
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> ended{false};
};

// Waits until the stream can be read, or the reader is cancelled.
Status wait_for(const Stream& stream) {
  std::array<pollfd, 2> polled = {pollfd{stream.fd.get(), POLLIN, 0}, pollfd{stream.wake.get(), POLLIN, 0}};
  while (::poll(polled.data(), polled.size(), -1) < 0) {
    if (errno != EINTR) return last_errno(stream.name + ": poll");
  }
  if (polled[1].revents != 0) return cancelled();
  return {};
}

Result<std::size_t> read_until_end(const Stream& stream, MutableByteSpan out) {
  std::size_t done = 0;
  while (done < out.size()) {
    TRY(wait_for(stream));
    const ssize_t got = ::read(stream.fd.get(), out.data() + done, out.size() - done);
    if (got == 0) break;
    if (got > 0) done += static_cast<std::size_t>(got);
    if (got < 0 && errno != EINTR) {
      return last_errno(fmt::format("{}: read at {}", stream.name, stream.bytes.load() + done));
    }
  }
  return done;
}

// Checks the number of bytes so far. Called after each piece; `ended` tells whether it was the last.
Status check_length(const Stream& stream, bool ended) {
  const std::uint64_t bytes = stream.bytes.load();
  if (bytes > kMaxVolumeBytes) return invalid(stream.name + ": larger than 64 PiB");
  if (!stream.expected || bytes == stream.expected->value) return {};
  if (bytes > stream.expected->value) {
    return Error(ErrorCode::kIo, fmt::format("{}: is longer than the {} bytes that were expected",
                                             stream.name, stream.expected->value));
  }
  if (!ended) return {};
  return Error(ErrorCode::kIo, fmt::format("{}: ended after {} of the {} bytes that were expected",
                                           stream.name, bytes, stream.expected->value));
}

class StreamReader : public RunReader {
 public:
  StreamReader(std::shared_ptr<Stream> stream, Plan plan)
      : stream_(std::move(stream)), feed_(std::move(plan), std::nullopt) {}

  Result<std::optional<Run>> next() override {
    // The lock is held from the request to its last byte, so that bytes go to requests in order.
    const std::lock_guard lock(order_);
    std::optional<RunTicket> ticket = TRY(feed_.take());
    if (!ticket) return std::optional<Run>();
    const RunRequest wanted = ticket->request;
    CHECK(wanted.offset.value == stream_->bytes.load());
    Result<std::size_t> got = read_until_end(*stream_, MutableByteSpan(ticket->data, wanted.bytes.value));
    if (!got.ok()) return feed_.stop(got.take_error());
    stream_->bytes += got.value();
    const bool ended = got.value() < wanted.bytes.value;
    Status length = check_length(*stream_, ended);
    if (!length.ok()) return feed_.stop(length.take_error());
    if (ended) {
      stream_->ended = true;
      feed_.finish();
    }
    if (got.value() == 0) return std::optional<Run>();
    return std::optional(finish_run(std::move(*ticket), ByteCount{got.value()}, {}));
  }

  void cancel() override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(stream_->wake.get(), &one, sizeof one);
  }

 private:
  std::shared_ptr<Stream> stream_;
  std::mutex order_;
  RunFeed feed_;
};

class StreamSource : public Source {
 public:
  explicit StreamSource(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}

  SourceType type() const override { return SourceType::kStream; }
  const std::string& name() const override { return stream_->name; }
  std::string identity() const override { return {}; }
  std::optional<ByteCount> size() const override {
    if (!stream_->ended) return std::nullopt;
    return ByteCount{stream_->bytes};
  }
  Result<SourceExtent> next_extent(ByteOffset /*offset*/) override {
    return unsupported(stream_->name + ": a stream has no map of its extents");
  }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(std::make_unique<StreamReader>(stream_, std::move(plan)));
  }

 private:
  std::shared_ptr<Stream> stream_;
};

}  // namespace

std::unique_ptr<Source> make_stream_source(UniqueFd fd, std::string name, std::optional<ByteCount> expected) {
  auto stream = std::make_shared<Stream>();
  stream->fd = std::move(fd);
  stream->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  stream->name = std::move(name);
  stream->expected = expected;
  return std::make_unique<StreamSource>(std::move(stream));
}

}  // namespace ashlar
