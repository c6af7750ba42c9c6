// The bytes of a session record. Page: docs/format/session.md.
//
// It lives as `sessions/<session id>` from the start of a capture to its end, and makes the capture visible
// to collection. A commit re-reads its own record first: gone means fenced, and nothing is published. Host,
// boot, process and start time tell whether the writer can still be alive; no clock decides.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kSessionVersion = 1;
inline constexpr std::size_t kMaxSessionRecordBytes = 4096;
inline constexpr std::size_t kMaxHostNameBytes = 255;

struct SessionRecord {
  SessionId id;
  StoreId store;
  UtcTime started;                   // for people
  std::array<std::byte, 16> boot{};  // /proc/sys/kernel/random/boot_id
  std::uint32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat: a reused pid differs
  std::string host;

  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

ByteVector encode(const SessionRecord& record);
Result<SessionRecord> decode_session_record(ByteSpan bytes);

}  // namespace ashlar
