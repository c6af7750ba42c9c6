// Where a server listens: addresses as users write them, and the socket that systemd hands over.
#pragma once

#include <optional>
#include <string>

#include "serve/nbd_listener.h"

namespace ashlar {

// "ADDRESS:PORT"; an IPv6 address stands in brackets. `option` is named in the error.
Result<TcpAddress> parse_tcp_address(const std::string& option, const std::string& text);
// That, or the path of a unix socket when there is a / in it.
Result<ListenAddress> parse_address(const std::string& option, const std::string& text);

// Whether the process was started with sockets (sd_listen_fds(3)).
bool has_inherited_socket();
// Takes it: descriptor 3. kInvalid when there are several. Programs that this one starts do not see it.
Result<InheritedSocket> take_inherited_socket();

// Returns whether the URI of a server can be reached from other hosts.
bool leaves_the_host(const std::string& uri);

}  // namespace ashlar
