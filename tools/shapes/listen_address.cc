#include "shapes/listen_address.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace ashlar {
namespace {

constexpr int kFirstInherited = 3;

std::string environment(const char* name) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return text == nullptr ? "" : text;
}

}  // namespace

Result<TcpAddress> parse_tcp_address(const std::string& option, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool digits =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (host.empty() || !digits || std::stoul(port) > 65535) {
    return invalid(fmt::format("{}: '{}' is not of the form ADDRESS:PORT", option, text));
  }
  return TcpAddress{host, static_cast<std::uint16_t>(std::stoul(port))};
}

Result<ListenAddress> parse_address(const std::string& option, const std::string& text) {
  if (text.find('/') != std::string::npos) return ListenAddress(UnixAddress{text});
  return ListenAddress(TRY(parse_tcp_address(option, text)));
}

bool has_inherited_socket() {
  return environment("LISTEN_PID") == std::to_string(::getpid()) && !environment("LISTEN_FDS").empty();
}

Result<InheritedSocket> take_inherited_socket() {
  const std::string count = environment("LISTEN_FDS");
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) {
    ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  }
  if (count != "1") return invalid(fmt::format("LISTEN_FDS is '{}': one socket is served", count));
  if (::fcntl(kFirstInherited, F_SETFD, FD_CLOEXEC) != 0) return last_errno("the inherited socket");
  return InheritedSocket{UniqueFd(kFirstInherited)};
}

bool leaves_the_host(const std::string& uri) {
  const bool local = uri.find("+unix:") != std::string::npos || uri.find("://127.") != std::string::npos ||
                     uri.find("://[::1]") != std::string::npos;
  return !local;
}

}  // namespace ashlar
