// A request and the bytes of its reply: how each outcome is put on the wire.
//
// A reply is a short head inside the request, then a body elsewhere: the buffer of a READ, the chunks of a
// BLOCK_STATUS. With structured replies READ and BLOCK_STATUS answer in chunks; all else is a simple reply.
#pragma once

#include <array>
#include <vector>

#include "base/bytes.h"
#include "serve/export.h"
#include "serve/nbd_protocol.h"

namespace ashlar {

class NbdTransmission;

// One request, from its header to the last byte of its reply.
struct NbdRequest {
  NbdTransmission* owner = nullptr;
  nbd::Request wire;
  nbd::Errno error = nbd::Errno::kNone;
  ChangesInFlight::Ticket change = 0;  // of its export, while it is there; 0: it changes nothing
  bool flush_next = false;             // FUA, and the operation itself is not done yet
  AlignedBuffer buffer;                // of a READ or a WRITE; at least wire.length
  std::vector<ExportExtent> extents;   // what BLOCK_STATUS found
  ByteVector extra;                    // and how its reply carries it
  std::array<std::byte, 32> head;
  std::size_t head_bytes = 0;
  ByteSpan body;           // of the reply, after the head
  std::size_t charge = 0;  // bytes that it keeps
  bool of_common = false;  // these are of the common half of NbdBudget
};

// Fills head and body for what the request came to.
void write_reply(NbdRequest& request, bool structured);

// Fills `extra`, from `extents`, with a chunk for each of the two contexts that is wanted, neighbours of
// equal state joined. An export that tells nothing of the range is an error of the request.
void write_status(NbdRequest& request, bool allocation, bool dirty);

}  // namespace ashlar
