// Fuzz target: frames. The first byte chooses the codec and the number of blocks, the rest is the stored
// frame.
#include "base/quantity.h"
#include "codec/frame.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar;
  if (size == 0) return 0;
  static FrameDecoder decoder;
  const auto codec = static_cast<FrameCodec>(data[0] & 3U);
  const std::size_t blocks = 1 + (data[0] >> 2U) % 16;
  ByteVector out(blocks * kBlockBytes);
  const Status status = decoder.decode(codec, fuzz::as_bytes(data + 1, size - 1), out);
  if (!status.ok()) CHECK(status.error().code() == ErrorCode::kCorrupt);
  return 0;
}
