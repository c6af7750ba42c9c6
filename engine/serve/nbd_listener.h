// NbdListener: a socket that clients connect to, made or inherited.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <variant>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

// A unix socket. The mode decides who may connect; the umask has no effect.
struct UnixAddress {
  std::string path;
  mode_t mode = 0600;
};
// A TCP address. Port 0 means any free port.
struct TcpAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 10809;
};
// A descriptor that listens already, as systemd hands it over. Its socket file is left to its maker.
struct InheritedSocket {
  UniqueFd fd;
};
using ListenAddress = std::variant<UnixAddress, TcpAddress, InheritedSocket>;

class NbdListener {
 public:
  // Opens a listening socket. Replaces a socket file on which no server answers; kBusy when one does, or when
  // the path is not a socket.
  static Result<NbdListener> open(ListenAddress address);
  NbdListener(NbdListener&& other) noexcept = default;
  NbdListener& operator=(NbdListener&&) = delete;
  // Removes the socket file that it made, unless another file has taken its place.
  ~NbdListener();

  int fd() const { return fd_.get(); }
  // Returns the URI that a client connects to: nbd+unix:///?socket=PATH or nbd://HOST:PORT.
  // PATH is absolute, even if the listener was opened with a relative one.
  const std::string& uri() const { return uri_; }

 private:
  NbdListener() = default;
  Status open_unix(const UnixAddress& address);
  Status open_tcp(const TcpAddress& address);
  Status adopt(UniqueFd fd);

  UniqueFd fd_;
  std::string uri_;
  std::string made_path_;
  dev_t made_device_ = 0;
  ino_t made_inode_ = 0;
};

}  // namespace ashlar
