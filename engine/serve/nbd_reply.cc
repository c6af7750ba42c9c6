#include "serve/nbd_reply.h"

#include <algorithm>
#include <utility>

namespace ashlar {

using nbd::Chunk;
using nbd::Command;
using nbd::Errno;

namespace {

struct StatusPiece {
  std::uint32_t bytes = 0;
  std::uint32_t state = 0;
};
using StatusPieces = std::vector<StatusPiece>;

void append_piece(StatusPieces& pieces, std::uint32_t bytes, std::uint32_t state) {
  if (!pieces.empty() && pieces.back().state == state) {
    pieces.back().bytes += bytes;
  } else {
    pieces.push_back({bytes, state});
  }
}

void append_context(NbdRequest& request, std::uint32_t id, bool last, const StatusPieces& pieces) {
  std::array<std::byte, nbd::kChunkHeadBytes> head{};
  nbd::write_chunk_head(head.data(), Chunk::kBlockStatus, last ? nbd::kChunkDone : std::uint16_t{0},
                        request.wire.cookie, static_cast<std::uint32_t>(4 + 8 * pieces.size()));
  BigEndianAppender out(request.extra);
  out.bytes(head).u32(id);
  for (const StatusPiece& piece : pieces) out.u32(piece.bytes).u32(piece.state);
}

void end_head(NbdRequest& request, const BigEndianWriter& out) {
  request.head_bytes = static_cast<std::size_t>(out.end() - request.head.data());
}

// Writes one chunk: the bytes, or a hole when they are all zeros.
void write_read(NbdRequest& request) {
  const nbd::Request& wire = request.wire;
  std::byte* head = request.head.data();
  if (wire.length == 0) {
    return end_head(request, nbd::write_chunk_head(head, Chunk::kNone, nbd::kChunkDone, wire.cookie, 0));
  }
  const ByteSpan bytes = request.buffer.span().first(wire.length);
  if (is_zero(bytes)) {
    return end_head(request, nbd::write_chunk_head(head, Chunk::kHole, nbd::kChunkDone, wire.cookie, 12)
                                 .u64(wire.offset)
                                 .u32(wire.length));
  }
  request.body = bytes;
  end_head(request, nbd::write_chunk_head(head, Chunk::kData, nbd::kChunkDone, wire.cookie, wire.length + 8)
                        .u64(wire.offset));
}

// Writes an error chunk without a text: the server's own text could tell a guest about its host.
void write_error_chunk(NbdRequest& request) {
  end_head(request,
           nbd::write_chunk_head(request.head.data(), Chunk::kError, nbd::kChunkDone, request.wire.cookie, 6)
               .u32(static_cast<std::uint32_t>(request.error))
               .u16(0));
}

}  // namespace

void write_reply(NbdRequest& request, bool structured) {
  const nbd::Request& wire = request.wire;
  const bool in_chunks = wire.command == Command::kRead || wire.command == Command::kBlockStatus;
  if (!in_chunks || !structured) {
    end_head(request, nbd::write_simple_reply(request.head.data(), request.error, wire.cookie));
    if (wire.command == Command::kRead && request.error == Errno::kNone)
      request.body = request.buffer.span().first(wire.length);
  } else if (request.error != Errno::kNone) {
    write_error_chunk(request);
  } else if (wire.command == Command::kRead) {
    write_read(request);
  } else {
    request.body = request.extra;
  }
}

void write_status(NbdRequest& request, bool allocation, bool dirty) {
  StatusPieces allocated;
  StatusPieces written;
  std::uint64_t left = request.wire.length;
  for (const ExportExtent& extent : request.extents) {
    const auto bytes = static_cast<std::uint32_t>(std::min(left, extent.bytes.value));
    if (bytes == 0) break;
    left -= bytes;
    append_piece(allocated, bytes,
                 (extent.is_hole ? nbd::kStateHole : 0) | (extent.is_zero ? nbd::kStateZero : 0));
    append_piece(written, bytes, extent.is_dirty ? nbd::kStateDirty : 0);
  }
  if (allocated.empty()) {
    request.error = Errno::kIo;
    return;
  }
  if ((request.wire.flags & nbd::kRequestOne) != 0) {
    allocated.resize(1);
    written.resize(1);
  }
  if (allocation) append_context(request, nbd::kAllocationId, !dirty, allocated);
  if (dirty) append_context(request, nbd::kDirtyId, true, written);
}

}  // namespace ashlar
