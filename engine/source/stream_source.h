// StreamSource: bytes that come in order, once, with an end that is met by reading (a pipe on standard
// input).
//
// Its size is unknown until then: size() gives it after the reader has met the end, and the last run is
// padded, so that is the only place that tells the bytes of a short last block. A read error is an error:
// nothing can be read again. A sender that dies looks like an end: who knows the size says so.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "source/source.h"

namespace ashlar {

// Takes the descriptor over. Reading fails (kIo) unless the stream has `expected` bytes.
std::unique_ptr<Source> make_stream_source(UniqueFd fd, std::string name,
                                           std::optional<ByteCount> expected = std::nullopt);

}  // namespace ashlar
