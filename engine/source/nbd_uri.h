// NBD URIs of exports on unix sockets.
#pragma once

#include <string>
#include <string_view>

namespace ashlar {

// Returns "nbd+unix:///NAME?socket=PATH", with the characters of the path that a URI reserves escaped.
std::string nbd_unix_uri(std::string_view socket, std::string_view name);

}  // namespace ashlar
