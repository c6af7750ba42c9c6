#include "serve/nbd_loop.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "base/clock.h"

namespace ashlar {
namespace {

constexpr std::size_t kSpansOfSend = 64;
// About how much one send takes; its buffers are given back once it is done.
constexpr std::size_t kBytesOfSend = std::size_t{1} << 20U;
constexpr long kTickNs = 100'000'000;
constexpr long kQuietTickNs = 500'000'000;  // when only stalled clients are looked for
constexpr unsigned kEventBits = 3;  // of a completion's tag; the other bits are the connection's address

void notify(int event_fd) {
  const std::uint64_t one = 1;
  while (::write(event_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

// Sets the options of a TCP socket. A request is one small segment and its reply another, so neither waits
// for more data. A client whose host is gone silently is found after about three minutes.
void tune_tcp(int fd) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof(value));
  };
  int domain = AF_UNIX;
  socklen_t size = sizeof(domain);
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  if (domain == AF_UNIX) return;
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 30);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 180'000);
}

// Returns whether the peer has closed its side or the connection is broken; bytes that it sent before may
// still be unread.
bool peer_is_gone(int fd) {
  pollfd at{fd, POLLRDHUP, 0};
  return ::poll(&at, 1, 0) > 0 && (at.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

struct alignas(1U << kEventBits) NbdLoop::Connection {
  Connection(UniqueFd socket, ExportList& exports, NbdSession::Shared& shared,
             std::shared_ptr<const TlsCredentials> tls)
      : fd(std::move(socket)),
        channel(exports, shared, std::move(tls), this, [at = fd.get()] { return peer_is_gone(at); }) {}

  UniqueFd fd;
  NbdChannel channel;
  std::list<std::unique_ptr<Connection>>::iterator place;
  double handshake_until = 0;
  // How fast the client moves the common memory that it holds: bytes of payload that came, of replies sent,
  // and of those the bytes that the client took. `slow_since` and `slow_from` are the time and the value of
  // `moved` at which the present measurement began.
  std::uint64_t moved = 0;
  std::uint64_t sent = 0;
  std::uint64_t taken = 0;
  double slow_since = 0;  // 0: not measured, because no request waits for memory that it holds
  std::uint64_t slow_from = 0;
  bool handshaking = true;
  bool barred = false;
  bool receiving = false;
  bool sending = false;
  bool lost = false;
  msghdr message{};
  std::array<iovec, kSpansOfSend> parts{};
};

Result<std::unique_ptr<NbdLoop>> NbdLoop::make(ExportList& exports, const NbdLimits& limits,
                                               NbdBudget& budget, std::shared_ptr<const TlsCredentials> tls) {
  std::unique_ptr<NbdLoop> loop(new NbdLoop(exports, limits, budget, std::move(tls)));
  loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_.valid()) return last_errno("eventfd");
  const int wake = loop->wake_.get();
  loop->shared_.completions = std::make_shared<NbdCompletions>([wake] { notify(wake); });
  TRY(loop->start_ring());
  return loop;
}

NbdLoop::NbdLoop(ExportList& exports, const NbdLimits& limits, NbdBudget& budget,
                 std::shared_ptr<const TlsCredentials> tls)
    : exports_(exports),
      limits_(limits),
      tls_(std::move(tls)),
      shared_{limits_, counters_, buffers_, budget, nullptr, tls_ != nullptr} {}

NbdLoop::~NbdLoop() {
  if (ring_ready_) io_uring_queue_exit(&ring_);
}

Status NbdLoop::start_ring() {
  const std::size_t operations = std::bit_ceil(2 * limits_.connections + 8);
  const auto entries = static_cast<unsigned>(std::min<std::size_t>(operations, 4096));
  // Completions are processed when the loop asks for them, not by interrupting it. Kernels before 6.1 know
  // only the plain ring.
  const unsigned quiet = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;
  int made = io_uring_queue_init(entries, &ring_, quiet);
  if (made == -EINVAL) made = io_uring_queue_init(entries, &ring_, IORING_SETUP_R_DISABLED);
  if (made < 0) return Error::from_errno(-made, "io_uring");
  ring_ready_ = true;
  return {};
}

void NbdLoop::run() {
  shared_.completions->adopt();
  // The thread that enables the ring is the one that may submit to it. The library's own call for this is
  // missing in liburing 2.3.
  CHECK(::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  arm_wake();
  arm_accept();
  while (!drained()) turn();
}

void NbdLoop::accept_from(const NbdListener& listener, Admit admit) {
  listener_ = &listener;
  admit_ = std::move(admit);
}

void NbdLoop::give(UniqueFd client) {
  ++load_;
  {
    const std::lock_guard lock(given_mutex_);
    given_.push_back(std::move(client));
  }
  some_given_.store(true);
  notify(wake_.get());
}

void NbdLoop::let_given_go() {
  const std::lock_guard lock(given_mutex_);
  load_ -= given_.size();
  given_.clear();
}

void NbdLoop::stop() {
  stop_wanted_.store(true);
  notify(wake_.get());
}

bool NbdLoop::drained() const { return stopping_ && connections_.empty() && !accepting_; }

void NbdLoop::turn() {
  // The flags are read after arm_wake() has emptied the eventfd: a flag set later makes it readable, and so
  // ends the sleep.
  if (stop_wanted_.load() && !stopping_) begin_stop();
  if (some_given_.load()) take_given();
  deliver();
  const bool sleep = shared_.completions->may_sleep() && !drained();
  const int submitted = io_uring_submit_and_wait(&ring_, sleep ? 1 : 0);
  CHECK(submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY ||
        submitted == -ENOMEM);
  io_uring_cqe* cqe = nullptr;
  // Without a wait this still lets the kernel finish what is ready.
  if (!sleep) io_uring_get_events(&ring_);
  while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
    const std::uint64_t tag = io_uring_cqe_get_data64(cqe);
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    handle(tag, result);
  }
}

void NbdLoop::handle(std::uint64_t tag, int result) {
  const std::uint64_t event_mask = (1U << kEventBits) - 1;
  auto* connection = std::bit_cast<Connection*>(tag & ~event_mask);
  switch (Event{tag & event_mask}) {
    case Event::kAccept:
      return accepted(result);
    case Event::kWake:
      return arm_wake();
    case Event::kTick:
      ticking_ = false;
      return tick();
    case Event::kCancel:
      return;
    case Event::kReceive:
      return received(*connection, result);
    case Event::kSend:
      return was_sent(*connection, result);
  }
}

io_uring_sqe* NbdLoop::sqe(Event event, Connection* connection) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    io_uring_submit(&ring_);
    entry = io_uring_get_sqe(&ring_);
  }
  // io_uring_prep_* calls leave the tag as it is.
  entry->user_data = reinterpret_cast<std::uintptr_t>(connection) | static_cast<std::uint64_t>(event);
  return entry;
}

void NbdLoop::arm_accept() {
  if (accepting_ || stopping_ || listener_ == nullptr) return;
  accepting_ = true;
  io_uring_prep_accept(sqe(Event::kAccept), listener_->fd(), nullptr, nullptr, SOCK_CLOEXEC);
}

void NbdLoop::arm_wake() {
  std::uint64_t count = 0;
  while (::read(wake_.get(), &count, sizeof(count)) > 0) {
  }
  io_uring_prep_poll_add(sqe(Event::kWake), wake_.get(), POLLIN);
}

void NbdLoop::arm_tick() {
  if (ticking_) return;
  ticking_ = true;
  tick_time_ = {0, handshaking_ > 0 || barred_ > 0 || stopping_ ? kTickNs : kQuietTickNs};
  io_uring_prep_timeout(sqe(Event::kTick), &tick_time_, 0, 0);
}

void NbdLoop::accepted(int result) {
  accepting_ = false;
  if (result < 0) {
    // Usually there are no descriptors left: the next tick tries the accept, not this turn.
    return result == -ECONNABORTED || result == -EINTR ? arm_accept() : arm_tick();
  }
  arm_accept();
  UniqueFd client(result);
  if (!stopping_ && !admit_(std::move(client))) NbdCounters::add(counters_.connections_refused);
}

void NbdLoop::take_given() {
  some_given_.store(false);
  std::vector<UniqueFd> clients;
  {
    const std::lock_guard lock(given_mutex_);
    clients.swap(given_);
  }
  for (UniqueFd& client : clients) {
    if (stopping_) {
      --load_;
    } else {
      adopt(std::move(client));
    }
  }
}

void NbdLoop::adopt(UniqueFd client) {
  tune_tcp(client.get());
  connections_.push_front(std::make_unique<Connection>(std::move(client), exports_, shared_, tls_));
  Connection& connection = *connections_.front();
  connection.place = connections_.begin();
  connection.handshake_until = monotonic_seconds() + limits_.handshake_seconds;
  ++handshaking_;
  NbdCounters::add(counters_.connections_accepted);
  NbdCounters::add(counters_.connections_open);
  arm_tick();
  pump(connection);
}

// Returns true when the client moved fewer than stall_bytes of the common memory that it holds in
// stall_seconds, while others waited for some.
bool NbdLoop::is_stalled(Connection& connection, double now) {
  const NbdSession& session = connection.channel.session();
  if (shared_.budget.waiting() == 0 || !session.holds_common()) {
    connection.slow_since = 0;
    return false;
  }
  // Bytes that are still in the socket's send queue were not taken by the client.
  int unsent = 0;
  if (::ioctl(connection.fd.get(), SIOCOUTQ, &unsent) != 0) unsent = 0;
  const std::uint64_t taken = connection.sent - std::min(connection.sent, static_cast<std::uint64_t>(unsent));
  connection.moved += taken - std::min(taken, connection.taken);
  connection.taken = std::max(connection.taken, taken);
  if (connection.slow_since == 0 || connection.moved - connection.slow_from >= limits_.stall_bytes) {
    connection.slow_since = now;
    connection.slow_from = connection.moved;
  }
  return now > connection.slow_since + limits_.stall_seconds;
}

void NbdLoop::tick() {
  const double now = monotonic_seconds();
  std::vector<Connection*> late;
  std::vector<Connection*> stalled;
  std::vector<Connection*> barred;
  for (const auto& connection : connections_) {
    if (connection->lost) continue;
    const bool slow = connection->handshaking && now > connection->handshake_until;
    if (slow) NbdCounters::add(counters_.handshakes_timed_out);
    if (slow || (stopping_ && now > drain_until_)) {
      late.push_back(connection.get());
    } else if (is_stalled(*connection, now)) {
      stalled.push_back(connection.get());
    } else if (connection->barred) {
      barred.push_back(connection.get());
    }
  }
  for (Connection* connection : late) lose(*connection);
  for (Connection* connection : stalled) {
    if (shared_.budget.waiting() == 0) break;  // the clients lost before freed enough
    NbdCounters::add(counters_.stalled_connections_closed);
    lose(*connection);
  }
  for (Connection* connection : barred) {
    connection->channel.session().retry();
    pump(*connection);
  }
  arm_accept();
  if (!connections_.empty()) arm_tick();
}

void NbdLoop::begin_stop() {
  stopping_ = true;
  drain_until_ = monotonic_seconds() + limits_.drain_seconds;
  const auto tag = static_cast<std::uint64_t>(Event::kAccept);
  if (accepting_) io_uring_prep_cancel64(sqe(Event::kCancel), tag, 0);
  std::vector<Connection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (Connection* connection : all) {
    connection->channel.end_input();
    pump(*connection);
  }
  if (!connections_.empty()) arm_tick();
}

// Hands requests that came back from the export to their sessions. Requests that this makes ready, such as a
// flush that is done at once, are taken in the same turn.
void NbdLoop::deliver() {
  while (true) {
    shared_.completions->take(returned_);
    if (returned_.empty()) return;
    std::vector<Connection*> touched;
    for (NbdRequest* request : returned_) {
      auto* connection = static_cast<Connection*>(request->owner->driver());
      if (touched.empty() || touched.back() != connection) touched.push_back(connection);
      connection->channel.session().complete(request);
    }
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (Connection* connection : touched) pump(*connection);
  }
}

void NbdLoop::received(Connection& connection, int result) {
  connection.receiving = false;
  if (result > 0) {
    if (connection.channel.session().wants_payload()) connection.moved += static_cast<std::uint64_t>(result);
    connection.channel.received(static_cast<std::size_t>(result));
  } else if (result == 0) {
    connection.channel.hang_up();
  } else if (result != -EINTR && result != -EAGAIN) {
    return lose(connection);
  }
  pump(connection);
}

void NbdLoop::was_sent(Connection& connection, int result) {
  connection.sending = false;
  if (result < 0 && result != -EINTR && result != -EAGAIN) return lose(connection);
  if (result > 0) {
    connection.sent += static_cast<std::uint64_t>(result);
    connection.channel.sent(static_cast<std::size_t>(result));
  }
  pump(connection);
}

// Starts all operations that can be started, and destroys the connection when it is finished.
void NbdLoop::pump(Connection& connection) {
  connection.channel.advance();
  if (connection.handshaking && !connection.channel.session().handshaking()) {
    connection.handshaking = false;
    --handshaking_;
  }
  set_barred(connection, connection.channel.session().is_barred());
  if (connection.lost && !connection.sending) connection.channel.drop_output();
  if (connection.lost && !connection.receiving) connection.channel.session().drop_payload();
  arm_send(connection);
  arm_receive(connection);
  if (!connection.channel.finished() || connection.sending) return;
  if (!connection.receiving) return destroy(connection);
  ::shutdown(connection.fd.get(), SHUT_RDWR);  // makes the pending receive return
}

void NbdLoop::arm_send(Connection& connection) {
  if (connection.sending) return;
  std::array<ByteSpan, kSpansOfSend> spans;
  const std::size_t count = connection.channel.output(spans);
  if (count == 0) return;
  std::size_t parts = 0;
  std::size_t bytes = 0;
  while (parts < count && bytes < kBytesOfSend) {
    connection.parts[parts] = {const_cast<std::byte*>(spans[parts].data()), spans[parts].size()};
    bytes += spans[parts++].size();
  }
  connection.message.msg_iov = connection.parts.data();
  connection.message.msg_iovlen = parts;
  io_uring_sqe* entry = sqe(Event::kSend, &connection);
  io_uring_prep_sendmsg(entry, connection.fd.get(), &connection.message, MSG_NOSIGNAL);
  connection.sending = true;
}

void NbdLoop::arm_receive(Connection& connection) {
  if (connection.receiving) return;
  const MutableByteSpan space = connection.channel.input_space();
  if (space.empty()) return;
  io_uring_sqe* entry = sqe(Event::kReceive, &connection);
  io_uring_prep_recv(entry, connection.fd.get(), space.data(), space.size(), 0);
  connection.receiving = true;
}

// Ends a connection at once; its requests in the export are still waited for.
void NbdLoop::lose(Connection& connection) {
  connection.lost = true;
  ::shutdown(connection.fd.get(), SHUT_RDWR);
  connection.channel.end_input();
  pump(connection);
}

// Notes whether a connection is barred; while one is, the tick comes sooner and asks it again.
void NbdLoop::set_barred(Connection& connection, bool barred) {
  if (barred != connection.barred) barred ? ++barred_ : --barred_;
  connection.barred = barred;
}

void NbdLoop::destroy(Connection& connection) {
  set_barred(connection, false);
  if (connection.handshaking) --handshaking_;
  NbdCounters::drop(counters_.connections_open);
  connections_.erase(connection.place);
  --load_;
}

}  // namespace ashlar
