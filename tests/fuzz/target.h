// The common part of all fuzz targets. A target is one file with LLVMFuzzerTestOneInput: in preset `fuzz`
// libFuzzer drives it, everywhere else run_corpus.cc feeds it the checked-in corpus.
//
// A target looks for more than crashes: what a decoder accepts has to encode to the bytes that it came from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ashlar::fuzz {

inline ByteSpan as_bytes(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

template <class T>
void check_canonical(const Result<T>& decoded, ByteSpan bytes) {
  if (decoded.ok()) {
    CHECK(bytes_equal(encode(decoded.value()), bytes));
  } else {
    CHECK(decoded.error().code() == ErrorCode::kCorrupt || decoded.error().code() == ErrorCode::kUnsupported);
  }
}

}  // namespace ashlar::fuzz
