#include "source/nbd_uri.h"

#include <fmt/format.h>

namespace ashlar {

std::string nbd_unix_uri(std::string_view socket, std::string_view name) {
  std::string path;
  for (const char c : socket) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/._-~").find(c) != std::string_view::npos;
    path += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("nbd+unix:///{}?socket={}", name, path);
}

}  // namespace ashlar
