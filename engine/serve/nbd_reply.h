// NbdRequest: a request and the bytes of its reply, and how each outcome is put on the wire.
// Internal to the module.
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

// A request, from its header to the last byte of its reply.
struct NbdRequest {
  NbdTransmission* owner = nullptr;
  nbd::Request wire;
  nbd::Errno error = nbd::Errno::kNone;
  ChangesInFlight::Ticket change = 0;  // ticket in its export while it is there; 0: not a change
  bool flush_next = false;             // FUA was asked for, and the operation itself is not done yet
  AlignedBuffer buffer;                // payload of a READ or a WRITE; at least wire.length
  std::vector<ExportExtent> extents;   // result of a BLOCK_STATUS
  ByteVector extra;                    // its extents as the reply carries them
  std::array<std::byte, 32> head;
  std::size_t head_bytes = 0;
  ByteSpan body;           // body of the reply, after the head
  std::size_t charge = 0;  // bytes that it keeps in memory
  bool of_common = false;  // the charge was taken from the common half of NbdBudget
};

// Writes the head and the body of a request's reply.
void write_reply(NbdRequest& request, bool structured);

// Fills `extra`, from `extents`, with a chunk for each of the two contexts that is wanted; neighbours of
// equal state are merged. The request fails when the export returned no extent.
void write_status(NbdRequest& request, bool allocation, bool dirty);

}  // namespace ashlar
