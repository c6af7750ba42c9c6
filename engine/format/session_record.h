// The bytes of a session record. Page: docs/format/session.md.
//
// The record lives as `sessions/<session id>` from the start of a capture to its end, and makes the capture
// visible to collection. A commit first reads its own record again: when the record is gone, the session was
// fenced off and the commit publishes nothing. Host, boot, process and start time tell whether the writer can
// still be alive; clocks decide nothing.
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
  UtcTime started;                   // shown to people, decides nothing
  std::array<std::byte, 16> boot{};  // /proc/sys/kernel/random/boot_id
  std::uint32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat: tells a reused pid apart
  std::string host;

  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

ByteVector encode(const SessionRecord& record);
Result<SessionRecord> decode_session_record(ByteSpan bytes);

}  // namespace ashlar
