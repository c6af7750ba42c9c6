// NBD protocol: its numbers and fixed-size headers; no I/O, no state. Internal to the module.
//
// Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, fixed newstyle. All integers
// are big-endian.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/big_endian.h"
#include "base/bytes.h"

namespace ashlar::nbd {

// Limits of what this server accepts.
inline constexpr std::uint32_t kMaxOptionBytes = 64U << 10U;
inline constexpr std::uint32_t kMaxNameBytes = 4096;
inline constexpr std::uint32_t kMaxPayloadBytes = 32U << 20U;
inline constexpr std::uint32_t kMinBlockBytes = 1;
inline constexpr std::uint32_t kPreferredBlockBytes = 4096;

inline constexpr std::uint64_t kInitMagic = 0x4e42444d41474943;    // NBDMAGIC
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;  // IHAVEOPT
inline constexpr std::uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint32_t kChunkMagic = 0x668e33ef;

// Handshake flags; the client's have the same bits.
inline constexpr std::uint16_t kFixedNewstyle = 1U << 0U;
inline constexpr std::uint16_t kNoZeroes = 1U << 1U;

// Transmission flags: what an export can do.
inline constexpr std::uint16_t kHasFlags = 1U << 0U;
inline constexpr std::uint16_t kReadOnly = 1U << 1U;
inline constexpr std::uint16_t kSendFlush = 1U << 2U;
inline constexpr std::uint16_t kSendFua = 1U << 3U;
inline constexpr std::uint16_t kSendTrim = 1U << 5U;
inline constexpr std::uint16_t kSendWriteZeroes = 1U << 6U;
inline constexpr std::uint16_t kSendDf = 1U << 7U;
inline constexpr std::uint16_t kCanMultiConn = 1U << 8U;
inline constexpr std::uint16_t kSendCache = 1U << 10U;
inline constexpr std::uint16_t kSendFastZero = 1U << 11U;

enum class Option : std::uint32_t {
  kExportName = 1,
  kAbort = 2,
  kList = 3,
  kStartTls = 5,
  kInfo = 6,
  kGo = 7,
  kStructuredReply = 8,
  kListMetaContext = 9,
  kSetMetaContext = 10,
};

enum class OptionReply : std::uint32_t {
  kAck = 1,
  kServer = 2,
  kInfo = 3,
  kMetaContext = 4,
  kUnsupported = 0x80000001,
  kInvalid = 0x80000003,
  kTlsRequired = 0x80000005,
  kUnknown = 0x80000006,
};

enum class Info : std::uint16_t { kExport = 0, kName = 1, kBlockSize = 3 };

enum class Command : std::uint16_t {
  kRead = 0,
  kWrite = 1,
  kDisconnect = 2,
  kFlush = 3,
  kTrim = 4,
  kCache = 5,
  kWriteZeroes = 6,
  kBlockStatus = 7,
};

inline constexpr std::uint16_t kFua = 1U << 0U;
inline constexpr std::uint16_t kNoHole = 1U << 1U;
inline constexpr std::uint16_t kDontFragment = 1U << 2U;
inline constexpr std::uint16_t kRequestOne = 1U << 3U;
inline constexpr std::uint16_t kFastZero = 1U << 4U;

enum class Chunk : std::uint16_t { kNone = 0, kData = 1, kHole = 2, kBlockStatus = 5, kError = 0x8001 };
inline constexpr std::uint16_t kChunkDone = 1U << 0U;

// The metadata contexts: their names, and the ids by which block status names them.
inline constexpr const char* kAllocationContext = "base:allocation";
inline constexpr const char* kDirtyContext = "ashlar:dirty";
inline constexpr std::uint32_t kAllocationId = 1;
inline constexpr std::uint32_t kDirtyId = 2;
inline constexpr std::uint32_t kStateHole = 1U << 0U;
inline constexpr std::uint32_t kStateZero = 1U << 1U;
inline constexpr std::uint32_t kStateDirty = 1U << 0U;

// Errors as they travel; the same on every platform.
enum class Errno : std::uint32_t {
  kNone = 0,
  kPermission = 1,
  kIo = 5,
  kInvalid = 22,
  kNoSpace = 28,
  kNotSupported = 95,
  kShutdown = 108,
};

struct Request {
  std::uint16_t flags = 0;
  Command command = Command::kRead;  // any value a client sends
  std::uint64_t cookie = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

inline constexpr std::size_t kOptionHeadBytes = 16;
inline constexpr std::size_t kRequestBytes = 28;
inline constexpr std::size_t kSimpleReplyBytes = 16;
inline constexpr std::size_t kChunkHeadBytes = 20;

// Decodes a request header of kRequestBytes; returns nullopt when the magic is wrong.
inline std::optional<Request> decode_request(ByteSpan bytes) {
  BigEndianReader in(bytes);
  if (in.u32() != kRequestMagic) return std::nullopt;
  Request request;
  request.flags = in.u16();
  request.command = Command{in.u16()};
  request.cookie = in.u64();
  request.offset = in.u64();
  request.length = in.u32();
  return request;
}

inline std::array<std::byte, kRequestBytes> encode(const Request& request) {
  std::array<std::byte, kRequestBytes> bytes{};
  BigEndianWriter(bytes.data())
      .u32(kRequestMagic)
      .u16(request.flags)
      .u16(static_cast<std::uint16_t>(request.command))
      .u64(request.cookie)
      .u64(request.offset)
      .u32(request.length);
  return bytes;
}

// Writes kSimpleReplyBytes.
inline BigEndianWriter write_simple_reply(std::byte* at, Errno error, std::uint64_t cookie) {
  BigEndianWriter out(at);
  return out.u32(kSimpleReplyMagic).u32(static_cast<std::uint32_t>(error)).u64(cookie);
}

// Writes kChunkHeadBytes; `length` bytes of the chunk follow it.
inline BigEndianWriter write_chunk_head(std::byte* at, Chunk type, std::uint16_t flags, std::uint64_t cookie,
                                        std::uint32_t length) {
  BigEndianWriter out(at);
  return out.u32(kChunkMagic).u16(flags).u16(static_cast<std::uint16_t>(type)).u64(cookie).u32(length);
}

}  // namespace ashlar::nbd
