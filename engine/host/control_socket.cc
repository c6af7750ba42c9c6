#include "host/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/threads.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20U;
constexpr int kRequestMilliseconds = 5000;  // a request comes at once, or never

// The address of a socket has room for 107 characters. The path through /proc is short for every directory.
struct SocketAddress {
  UniqueFd directory;
  sockaddr_un address{};
};

Result<SocketAddress> address_in(const std::string& directory) {
  SocketAddress socket;
  socket.directory.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!socket.directory.valid()) return last_errno(directory);
  socket.address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/control", socket.directory.get());
  std::memcpy(socket.address.sun_path, path.c_str(), path.size() + 1);
  return socket;
}

const sockaddr* raw(const SocketAddress& socket) {
  return reinterpret_cast<const sockaddr*>(&socket.address);
}

// Reads a line, without its end; empty when the peer ends before, is too slow or sends too much.
std::string read_line(int fd, int milliseconds) {
  std::string line;
  std::array<char, 4096> part{};
  while (line.size() < kMaxMessageBytes) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, milliseconds) <= 0) return {};
    const ssize_t got = ::recv(fd, part.data(), part.size(), 0);
    if (got <= 0) return {};
    line.append(part.data(), static_cast<std::size_t>(got));
    if (line.back() == '\n') return line.substr(0, line.size() - 1);
  }
  return {};
}

bool send_line(int fd, const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t done = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (done <= 0) return false;
    sent += static_cast<std::size_t>(done);
  }
  return true;
}

Result<UniqueFd> connect_in(const std::string& directory) {
  const SocketAddress socket = TRY(address_in(directory));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return last_errno("control socket");
  if (::connect(fd.get(), raw(socket), sizeof(socket.address)) != 0) {
    return not_found("no server answers for the volume");
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> ControlSocket::listen(const std::string& directory, Answer answer) {
  std::unique_ptr<ControlSocket> server(new ControlSocket);
  const SocketAddress socket = TRY(address_in(directory));
  server->path_ = directory + "/control";
  server->answer_ = std::move(answer);
  ::unlink(server->path_.c_str());
  server->listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!server->listener_.valid()) return last_errno("control socket");
  if (::bind(server->listener_.get(), raw(socket), sizeof(socket.address)) != 0 ||
      ::chmod(server->path_.c_str(), 0600) != 0 || ::listen(server->listener_.get(), 16) != 0) {
    return last_errno(server->path_);
  }
  server->end_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!server->end_.valid()) return last_errno("eventfd");
  server->thread_ = TRY(try_start_thread([s = server.get()] { s->serve(); }));
  return server;
}

ControlSocket::~ControlSocket() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  if (::write(end_.get(), &one, sizeof one) != sizeof one) std::terminate();
  thread_.join();
  ::unlink(path_.c_str());
}

void ControlSocket::serve() {
  while (true) {
    std::array<pollfd, 2> ready = {pollfd{listener_.get(), POLLIN, 0}, pollfd{end_.get(), POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0) continue;
    if (ready[1].revents != 0) return;
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    // A client that has gone does not need its answer.
    if (client.valid()) (void)send_line(client.get(), answer_(read_line(client.get(), kRequestMilliseconds)));
  }
}

bool server_listens(const std::string& directory) { return connect_in(directory).ok(); }

Result<std::string> ask_line(const std::string& directory, const std::string& line) {
  const UniqueFd fd = TRY(connect_in(directory));
  if (!send_line(fd.get(), line)) return last_errno("ask the volume's server");
  std::string answer = read_line(fd.get(), -1);
  if (answer.empty()) return Error(ErrorCode::kIo, "the volume's server gave no answer");
  return answer;
}

}  // namespace ashlar
