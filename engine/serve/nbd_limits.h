// What one client, and all of them together, may take of the server.
#pragma once

#include <cstddef>

namespace ashlar {

struct NbdLimits {
  std::size_t connections = 128;  // one more is closed as soon as it is accepted
  // From the accept to the end of the handshake.
  double handshake_seconds = 10;
  std::size_t handshake_bytes = std::size_t{1} << 20U;
  std::size_t handshake_options = 1024;
  // Of one connection: buffers of requests in the export and of replies not sent yet. While it is reached,
  // nothing is read from the client; one request of 32 MiB may go over it.
  std::size_t outstanding_bytes = std::size_t{64} << 20U;
  std::size_t outstanding_requests = 1024;
  // The same of all connections together; how they share it: nbd_budget.h.
  std::size_t server_bytes = std::size_t{512} << 20U;
  // Somebody waits for memory: a client that holds some of the common half has to move this many bytes (of a
  // payload that it announced, or of its replies) in this time. Nobody is hurried while there is enough.
  double stall_seconds = 10;
  std::size_t stall_bytes = std::size_t{64} << 10U;
  // How long a stopping server waits for clients to take their replies.
  double drain_seconds = 10;
};

}  // namespace ashlar
