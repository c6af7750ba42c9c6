#include "control.h"

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

namespace ashlar {
namespace {

constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20U;
constexpr int kRequestMilliseconds = 5000;  // a request comes at once, or never

// A socket's address has room for 107 characters; the way through /proc is short whatever the directory's
// name.
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

// A line without its end; empty when the peer ends before, is too slow or says too much.
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

bool send_line(int fd, const Json& message) {
  const std::string text = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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

ErrorCode code_named(std::string_view name) {
  for (const ErrorCode code :
       {ErrorCode::kIo, ErrorCode::kCorrupt, ErrorCode::kNotFound, ErrorCode::kExhausted, ErrorCode::kInvalid,
        ErrorCode::kUnsupported, ErrorCode::kBusy, ErrorCode::kCancelled}) {
    if (error_code_name(code) == name) return code;
  }
  return ErrorCode::kIo;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& directory, Handler handler) {
  std::unique_ptr<ControlServer> server(new ControlServer);
  const SocketAddress socket = TRY(address_in(directory));
  server->path_ = directory + "/control";
  server->handler_ = std::move(handler);
  // Whoever holds the overlay's lock owns the name; a dead server's socket is only in the way.
  ::unlink(server->path_.c_str());
  server->listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!server->listener_.valid()) return last_errno("control socket");
  if (::bind(server->listener_.get(), raw(socket), sizeof(socket.address)) != 0 ||
      ::chmod(server->path_.c_str(), 0600) != 0 || ::listen(server->listener_.get(), 16) != 0) {
    return last_errno(server->path_);
  }
  server->end_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!server->end_.valid()) return last_errno("eventfd");
  server->thread_ = std::jthread([s = server.get()] { s->serve(); });
  return server;
}

ControlServer::~ControlServer() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  if (::write(end_.get(), &one, sizeof one) != sizeof one) std::terminate();
  thread_.join();
  ::unlink(path_.c_str());
}

void ControlServer::serve() {
  while (true) {
    std::array<pollfd, 2> ready = {pollfd{listener_.get(), POLLIN, 0}, pollfd{end_.get(), POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0) continue;
    if (ready[1].revents != 0) return;
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.valid()) answer(client.get());
  }
}

// Members of a type that nobody expects are the client's mistake; no request ends the server.
Json ControlServer::reply_to(const Json& request) const {
  if (!request.is_object()) return {{"error", error_json(invalid("the request is not a JSON object"))}};
  try {
    Result<Json> reply = handler_(request);
    if (reply.ok()) return reply.take();
    return {{"error", error_json(reply.error())}};
  } catch (const std::exception& failure) {
    return {{"error", error_json(invalid(failure.what()))}};
  }
}

void ControlServer::answer(int client) const {
  const Json request = Json::parse(read_line(client, kRequestMilliseconds), nullptr, false);
  (void)send_line(client, reply_to(request));  // a client that has gone is its own loss
}

bool server_listens(const std::string& directory) { return connect_in(directory).ok(); }

Result<Json> ask_server(const std::string& directory, const Json& request) {
  const UniqueFd fd = TRY(connect_in(directory));
  if (!send_line(fd.get(), request)) return last_errno("ask the volume's server");
  Json reply = Json::parse(read_line(fd.get(), -1), nullptr, false);
  if (!reply.is_object()) return Error(ErrorCode::kIo, "the volume's server gave no answer");
  if (reply.contains("error")) {
    const Json& error = reply["error"];
    return Error(code_named(error.value("code", "")), error.value("message", "the volume's server failed"));
  }
  return reply;
}

}  // namespace ashlar
