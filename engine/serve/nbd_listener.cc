#include "serve/nbd_listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>

namespace ashlar {
namespace {

constexpr int kBacklog = 128;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return invalid(
        fmt::format("{}: the path of a socket has 1 to {} bytes", path, sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> make_socket(int family) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return last_errno("socket");
  return fd;
}

template <class Address>
int connect_to(int fd, const Address& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// Removes a socket file at `path` on which no server answers.
Status remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return {};
  if (!S_ISSOCK(about.st_mode)) return busy(path + ": exists and is not a socket");
  const UniqueFd probe = TRY(make_socket(AF_UNIX));
  if (connect_to(probe.get(), address) == 0) return busy(path + ": another server answers on it");
  if (errno != ECONNREFUSED) return last_errno(path + ": asking whether a server answers");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return last_errno(path + ": removing a stale socket");
  return {};
}

std::string uri_of_tcp(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
    return fmt::format("nbd://[{}]:{}", text.data(), ntohs(six.sin6_port));
  }
  const auto& four = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
  return fmt::format("nbd://{}:{}", text.data(), ntohs(four.sin_port));
}

// Returns the path of a socket for clients that run in another directory. Keeps ".." and links, which mean
// the same from the root. An abstract socket has no path.
Result<std::string> absolute_path(const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  if (failed) return Error::from_errno(failed.value(), path + ": the current directory");
  return absolute.native();
}

Result<std::string> uri_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return last_errno("getsockname");
  if (address.ss_family == AF_INET || address.ss_family == AF_INET6) return uri_of_tcp(address);
  if (address.ss_family != AF_UNIX) return invalid("the socket is neither unix nor TCP");
  return "nbd+unix:///?socket=" + TRY(absolute_path(reinterpret_cast<const sockaddr_un&>(address).sun_path));
}

}  // namespace

Result<NbdListener> NbdListener::open(ListenAddress address) {
  NbdListener listener;
  if (auto* unix_path = std::get_if<UnixAddress>(&address)) {
    TRY(listener.open_unix(*unix_path));
  } else if (auto* tcp = std::get_if<TcpAddress>(&address)) {
    TRY(listener.open_tcp(*tcp));
  } else {
    TRY(listener.adopt(std::move(std::get<InheritedSocket>(address).fd)));
  }
  listener.uri_ = TRY(uri_of(listener.fd()));
  return listener;
}

NbdListener::~NbdListener() {
  if (made_path_.empty() || !fd_.valid()) return;
  struct stat about {};
  if (::lstat(made_path_.c_str(), &about) != 0) return;
  if (about.st_dev == made_device_ && about.st_ino == made_inode_) ::unlink(made_path_.c_str());
}

Status NbdListener::open_unix(const UnixAddress& wanted) {
  const sockaddr_un address = TRY(unix_address(wanted.path));
  TRY(remove_stale(wanted.path, address));
  fd_ = TRY(make_socket(AF_UNIX));
  // bind() gives the file the mode of the descriptor, so there is no moment in which others may connect.
  if (::fchmod(fd_.get(), wanted.mode) != 0) return last_errno(wanted.path + ": fchmod");
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return last_errno("can't listen on " + wanted.path);
  }
  struct stat about {};
  if (::lstat(wanted.path.c_str(), &about) != 0) return last_errno(wanted.path + ": stat");
  made_path_ = wanted.path;
  made_device_ = about.st_dev;
  made_inode_ = about.st_ino;
  if (::chmod(wanted.path.c_str(), wanted.mode) != 0) return last_errno(wanted.path + ": chmod");
  if (::listen(fd_.get(), kBacklog) != 0) return last_errno(wanted.path + ": listen");
  return {};
}

Status NbdListener::open_tcp(const TcpAddress& wanted) {
  const std::string name = fmt::format("{}:{}", wanted.host, wanted.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(wanted.host.c_str(), std::to_string(wanted.port).c_str(), &hints, &found);
  if (failed != 0) return invalid(name + ": " + ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  fd_ = TRY(make_socket(found->ai_family));
  const int yes = 1;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(fd_.get(), found->ai_addr, found->ai_addrlen) != 0) return last_errno("can't listen on " + name);
  if (::listen(fd_.get(), kBacklog) != 0) return last_errno(name + ": listen");
  return {};
}

Status NbdListener::adopt(UniqueFd fd) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) {
    return last_errno("the inherited descriptor");
  }
  if (listening == 0) return invalid("the inherited descriptor does not listen");
  fd_ = std::move(fd);
  return {};
}

}  // namespace ashlar
