#include "serve/metrics_listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "base/clock.h"

namespace ashlar {

namespace {

constexpr double kLongestWaitSeconds = 60;

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_UNIX) return true;
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24U == 127;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string answer(std::string_view status, std::string_view headers, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{}", status, headers,
                     body.size(), body);
}

// Answers a complete request head; its headers do not matter.
std::string answer_to(std::string_view request, const MetricsListener::Page& page) {
  const std::string_view line = request.substr(0, request.find("\r\n"));
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  const bool sound = first != std::string_view::npos && first > 0 && last > first + 1 &&
                     line.find(' ', first + 1) == last && line.substr(last + 1).starts_with("HTTP/1.");
  if (!sound) return answer("400 Bad Request", "", "");
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (target.substr(0, target.find('?')) != "/metrics") return answer("404 Not Found", "", "");
  if (line.substr(0, first) != "GET") return answer("405 Method Not Allowed", "Allow: GET\r\n", "");
  return answer("200 OK", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", page());
}

}  // namespace

Result<std::unique_ptr<MetricsListener>> MetricsListener::start(ListenAddress address, Page page,
                                                                MetricsLimits limits) {
  NbdListener listener = TRY(NbdListener::open(std::move(address)));
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return last_errno("getsockname");
  if (!is_loopback(bound)) return invalid("metrics are given on loopback addresses and unix sockets only");
  // The connection that poll reported may be gone before the accept, which must not block then.
  if (::fcntl(listener.fd(), F_SETFL, O_NONBLOCK) != 0) return last_errno("fcntl");
  std::unique_ptr<MetricsListener> made(new MetricsListener(std::move(listener), std::move(page), limits));
  const std::string& uri = made->listener_.uri();
  const std::size_t path = uri.find("socket=");
  made->address_ = path == std::string::npos ? "http" + uri.substr(uri.find(':')) + "/metrics"
                                             : uri.substr(path + std::string_view("socket=").size());
  made->wake_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!made->wake_.valid()) return last_errno("eventfd");
  made->thread_ = std::thread([self = made.get()] { self->run(); });
  return made;
}

MetricsListener::~MetricsListener() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  thread_.join();
}

void MetricsListener::run() {
  std::vector<pollfd> polled;
  while (true) {
    if (wait(polled) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    auto at = connections_.begin();
    for (std::size_t i = 2; i < polled.size(); ++i) {
      const auto connection = at++;
      const bool late = monotonic_seconds() > connection->until;
      if (late || (polled[i].revents != 0 && !go_on(*connection))) connections_.erase(connection);
    }
    if (polled[1].revents != 0) accept_one();
  }
}

// Polls all descriptors. The first is the eventfd that ends the loop, the second the listening socket, which
// is left out while the limit of connections is reached.
int MetricsListener::wait(std::vector<pollfd>& polled) {
  const bool full = connections_.size() >= limits_.connections;
  polled = {{wake_.get(), POLLIN, 0}, {full ? -1 : listener_.fd(), POLLIN, 0}};
  double until = monotonic_seconds() + kLongestWaitSeconds;
  for (const Connection& connection : connections_) {
    const short events = connection.answer.empty() ? POLLIN : POLLOUT;
    polled.push_back({connection.fd.get(), events, 0});
    until = std::min(until, connection.until);
  }
  const double milliseconds = std::max(0.0, until - monotonic_seconds()) * 1000;
  return ::poll(polled.data(), polled.size(), static_cast<int>(milliseconds) + 1);
}

void MetricsListener::accept_one() {
  UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) {
    connections_.push_back({std::move(fd), monotonic_seconds() + limits_.seconds, "", "", 0});
  } else if (errno == EMFILE || errno == ENFILE) {
    // The socket stays readable, and an accept at once would fail in the same way.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

bool MetricsListener::go_on(Connection& connection) {
  return connection.answer.empty() ? receive(connection) : send(connection);
}

bool MetricsListener::receive(Connection& connection) {
  std::array<char, 2048> part{};
  const ssize_t got = ::recv(connection.fd.get(), part.data(), part.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  connection.request.append(part.data(), static_cast<std::size_t>(got));
  const std::size_t end = connection.request.find("\r\n\r\n");
  if (end == std::string::npos && connection.request.size() < limits_.request_bytes) return true;
  const bool whole = end != std::string::npos && end < limits_.request_bytes;
  connection.answer =
      whole ? answer_to(connection.request, page_) : answer("431 Request Header Fields Too Large", "", "");
  return send(connection);
}

bool MetricsListener::send(Connection& connection) {
  const std::string_view rest = std::string_view(connection.answer).substr(connection.sent);
  const ssize_t taken = ::send(connection.fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (taken < 0) return errno == EAGAIN || errno == EINTR;
  connection.sent += static_cast<std::size_t>(taken);
  if (connection.sent < connection.answer.size()) return true;
  ::shutdown(connection.fd.get(), SHUT_WR);
  return false;
}

}  // namespace ashlar
