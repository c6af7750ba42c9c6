// StreamSource: bytes that arrive once and in order, with an end that is found by reading (a pipe on standard
// input). Internal to the module.
//
// The size is unknown until the reader has met the end; then size() returns it. The last run is padded, so
// only size() shows how many bytes a short last block has. A read error is final: a stream cannot be read
// again. A sender that dies looks like the end of the stream; a caller that knows the size passes it, and a
// shorter stream is then an error.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "source/source.h"

namespace ashlar {

// Takes ownership of the descriptor. Reading fails (kIo) unless the stream has `expected` bytes.
std::unique_ptr<Source> make_stream_source(UniqueFd fd, std::string name,
                                           std::optional<ByteCount> expected = std::nullopt);

}  // namespace ashlar
