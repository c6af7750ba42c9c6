#include "source/nbd_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <libnbd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace ashlar {
namespace {

constexpr std::uint64_t kMaxReadBytes = std::uint64_t{1} << 20U;
// Below the 32 bits of the protocol, and a multiple of any block size in use.
constexpr std::uint64_t kMaxStatusBytes = std::uint64_t{0xffff0000};
// The words that libnbd puts before the system's error when connect() failed.
constexpr std::string_view kNobodyListens = "nbd_connect_uri: connect: ";

struct ReadCookie {
  std::function<void(int)> arrived;
};

// Passes on the result of a read. By libnbd's rule (CVE-2022-0485) the command succeeded only if *error is 0
// here. Returning 1 retires the command.
int on_read_done(void* user, int* error) {
  static_cast<ReadCookie*>(user)->arrived(*error);
  return 1;
}

void free_cookie(void* user) { delete static_cast<ReadCookie*>(user); }

struct StatusAnswer {
  const std::string* context;
  std::uint64_t offset;
  std::vector<NbdConnection::StatusPiece> pieces;
};

int on_status(void* user, const char* context, std::uint64_t offset, std::uint32_t* entries,
              std::size_t count, int* error) {
  auto& answer = *static_cast<StatusAnswer*>(user);
  if (*error != 0 || *answer.context != context || offset != answer.offset) return 0;
  for (std::size_t i = 0; i + 1 < count; i += 2) {
    answer.pieces.push_back({ByteCount{entries[i]}, entries[i + 1]});
  }
  return 0;
}

}  // namespace

Result<std::shared_ptr<NbdConnection>> NbdConnection::open(const std::string& uri,
                                                           const std::vector<std::string>& contexts) {
  std::shared_ptr<NbdConnection> connection(new NbdConnection(uri));
  TRY(connection->connect(contexts));
  TRY(connection->measure());
  return connection;
}

NbdConnection::~NbdConnection() { close(); }

void NbdConnection::close() {
  const std::lock_guard lock(mutex_);
  if (handle_ != nullptr) ::nbd_close(handle_);
  handle_ = nullptr;
  wake();
}

void NbdConnection::abandon() const { ::shutdown(socket_.get(), SHUT_RDWR); }

Error NbdConnection::error(std::string_view doing) const {
  const char* said = ::nbd_get_error();
  const std::string_view text = said != nullptr ? said : "connection lost";
  if (text.starts_with(kNobodyListens))
    return {ErrorCode::kIo,
            fmt::format("no NBD server answers at {}: {}", uri_, text.substr(kNobodyListens.size()))};
  return {ErrorCode::kIo, fmt::format("{}: {}: {}", uri_, doing, text)};
}

Status NbdConnection::connect(const std::vector<std::string>& contexts) {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return last_errno("eventfd");
  handle_ = ::nbd_create();
  if (handle_ == nullptr) return error("starting libnbd");
  // The URI comes from the command line, so its user may name key files in it.
  if (::nbd_set_uri_allow_local_file(handle_, true) != 0) return error("starting libnbd");
  for (const std::string& context : contexts) {
    if (::nbd_add_meta_context(handle_, context.c_str()) != 0) return error("asking for " + context);
  }
  if (::nbd_connect_uri(handle_, uri_.c_str()) != 0) return error("connecting");
  socket_.reset(::fcntl(::nbd_aio_get_fd(handle_), F_DUPFD_CLOEXEC, 0));
  if (!socket_.valid()) return last_errno(uri_ + ": dup");
  return {};
}

Status NbdConnection::measure() {
  const std::int64_t size = ::nbd_get_size(handle_);
  if (size < 0) return error("asking for the size");
  size_ = ByteCount{static_cast<std::uint64_t>(size)};
  if (size_.value > kMaxVolumeBytes) return invalid(uri_ + ": larger than 64 PiB");
  // 0 when the server reports no limit; then every usual size is allowed.
  const std::int64_t smallest = ::nbd_get_block_size(handle_, LIBNBD_SIZE_MINIMUM);
  const std::int64_t largest = ::nbd_get_block_size(handle_, LIBNBD_SIZE_MAXIMUM);
  if (smallest > static_cast<std::int64_t>(kBlockBytes)) {
    return unsupported(
        fmt::format("{}: the server wants blocks of {} bytes, more than {}", uri_, smallest, kBlockBytes));
  }
  std::uint64_t limit = kMaxReadBytes;
  if (largest > 0) limit = std::min(limit, static_cast<std::uint64_t>(largest));
  if (limit < kBlockBytes)
    return unsupported(fmt::format("{}: the server takes no read of {} bytes", uri_, kBlockBytes));
  read_limit_ = limit / kBlockBytes * kBlockBytes;
  return {};
}

bool NbdConnection::has_context(const std::string& context) {
  const std::lock_guard lock(mutex_);
  return handle_ != nullptr && ::nbd_can_meta_context(handle_, context.c_str()) == 1;
}

Result<std::vector<NbdConnection::StatusPiece>> NbdConnection::block_status(const std::string& context,
                                                                            ByteOffset offset) {
  CHECK(offset.value < size_.value);
  const std::uint64_t count = std::min(size_.value - offset.value, kMaxStatusBytes);
  StatusAnswer answer{&context, offset.value, {}};
  const std::lock_guard lock(mutex_);
  const std::string doing = fmt::format("asking for {} at {}", context, offset.value);
  if (handle_ == nullptr) return error(doing);
  if (::nbd_block_status(handle_, count, offset.value, {on_status, &answer, nullptr}, 0) != 0)
    return error(doing);
  // The last piece may extend past the requested range, and the server's numbers are not trusted.
  std::uint64_t left = size_.value - offset.value;
  for (StatusPiece& piece : answer.pieces) {
    piece.bytes.value = std::min(piece.bytes.value, left);
    left -= piece.bytes.value;
  }
  std::erase_if(answer.pieces, [](const StatusPiece& piece) { return piece.bytes.value == 0; });
  if (answer.pieces.empty()) {
    return Error(ErrorCode::kIo, fmt::format("{}: {}: the server's answer is empty", uri_, doing));
  }
  return std::move(answer.pieces);
}

Status NbdConnection::start_read(std::uint64_t cookie, ByteOffset offset, MutableByteSpan out) {
  const std::lock_guard lock(mutex_);
  const std::string doing = fmt::format("read of {} bytes at {}", out.size(), offset.value);
  if (handle_ == nullptr) return error(doing);
  auto user =
      std::make_unique<ReadCookie>(ReadCookie{[this, cookie](int failed) { arrived(cookie, failed); }});
  // From here on libnbd frees the cookie, even when it refuses the command.
  const nbd_completion_callback done{on_read_done, user.release(), free_cookie};
  if (::nbd_aio_pread(handle_, out.data(), out.size(), offset.value, done, 0) < 0) return error(doing);
  return {};
}

// Records a result. libnbd calls it inside another call of this class, with the lock held.
void NbdConnection::arrived(std::uint64_t cookie, int error_number) {
  arrivals_.push_back({cookie, error_number});
  // Another thread's call may have received the result that a sleeping wait() is waiting for.
  if (sleeping_) wake();
}

void NbdConnection::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
}

Status NbdConnection::wait() {
  std::array<pollfd, 2> polled{};
  {
    const std::lock_guard lock(mutex_);
    if (!arrivals_.empty()) return {};
    if (handle_ == nullptr || ::nbd_aio_is_dead(handle_) != 0 || ::nbd_aio_is_closed(handle_) != 0) {
      return error("waiting for reads");
    }
    const unsigned direction = ::nbd_aio_get_direction(handle_);
    short events = 0;
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) events = static_cast<short>(events | POLLIN);
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) events = static_cast<short>(events | POLLOUT);
    polled = {pollfd{::nbd_aio_get_fd(handle_), events, 0}, pollfd{wake_.get(), POLLIN, 0}};
    sleeping_ = true;
  }
  ::poll(polled.data(), polled.size(), -1);
  const std::lock_guard lock(mutex_);
  sleeping_ = false;
  std::uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t ignored = ::read(wake_.get(), &wakes, sizeof wakes);
  // nbd_poll() checks the socket again, which is needed: another thread may have read what poll() reported.
  if (handle_ == nullptr || (::nbd_poll(handle_, 0) < 0 && arrivals_.empty()))
    return error("waiting for reads");
  return {};
}

Status NbdConnection::nudge() {
  const std::lock_guard lock(mutex_);
  if (handle_ != nullptr && sleeping_ && (::nbd_aio_get_direction(handle_) & LIBNBD_AIO_DIRECTION_WRITE) != 0)
    wake();
  return {};
}

std::vector<NbdConnection::Arrival> NbdConnection::take_arrivals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(arrivals_, {});
}

}  // namespace ashlar
