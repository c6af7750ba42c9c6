// NbdLimits: how much of the server one client, and all clients together, may use. Internal to the module.
#pragma once

#include <cstddef>

namespace ashlar {

struct NbdLimits {
  std::size_t connections = 128;  // a connection over the limit is closed as soon as it is accepted
  // Limits from the accept to the end of the handshake.
  double handshake_seconds = 10;
  std::size_t handshake_bytes = std::size_t{1} << 20U;
  std::size_t handshake_options = 1024;
  // Limits of one connection: buffers of requests in the export, and of replies that are not sent yet. While
  // a limit is reached, no input is read from the client; one request of 32 MiB may go over it.
  std::size_t outstanding_bytes = std::size_t{64} << 20U;
  std::size_t outstanding_requests = 1024;
  // The limit of such buffers for all connections together; how they share it: nbd_budget.h.
  std::size_t server_bytes = std::size_t{512} << 20U;
  // Limits that apply only while a request waits for common memory: a client that holds some of the common
  // half has to move this many bytes (of a payload that it announced, or of its replies) in this time.
  double stall_seconds = 10;
  std::size_t stall_bytes = std::size_t{64} << 10U;
  // How long a stopping server waits for clients to take their replies.
  double drain_seconds = 10;
};

}  // namespace ashlar
