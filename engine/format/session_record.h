// The bytes of a session record. Page: docs/format/session.md.
//
// The record lives as `sessions/<session id>` while a writer works. It makes the writer visible to collection
// and deletion, and every beat of the writer replaces it: so taking a session away is one replacement that
// either comes before the writer's next beat, which is then refused, or fails.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kSessionVersion = 2;
inline constexpr std::size_t kMaxSessionRecordBytes = std::size_t{4} << 20U;
inline constexpr std::size_t kMaxHostNameBytes = 255;

enum class SessionState : std::uint8_t {
  kOpen = 1,
  kRevoked = 2,     // taken away from its writer; what it has not published is being swept
  kEnded = 3,       // publishes nothing more; what it stored is left for another run to find
  kPassedOver = 4,  // has ended, and one collection has left its packs: the next one does not
};

struct SessionRecord {
  SessionId id;
  StoreId store;
  UtcTime started;                   // shown to people, decides nothing
  std::array<std::byte, 16> boot{};  // /proc/sys/kernel/random/boot_id
  std::uint32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat: tells a reused pid apart
  std::string host;               // the place in which a pid means one process

  Nonce nonce;  // random, another one in each version: no two versions have equal bytes
  std::uint64_t beat = 0;
  SessionState state = SessionState::kOpen;
  std::uint64_t epoch = 0;                 // the collection epoch that the writer has seen
  std::vector<SnapshotId> open_snapshots;  // what it is about to publish
  std::vector<SnapshotId> bases;           // what it stands on; these stay until it ends
  std::vector<PackId> keeps;               // condemned packs that it relies on

  // Returns whether the session is over: its writer can't publish any more, and it has swept its snapshots.
  bool has_ended() const { return state == SessionState::kEnded || state == SessionState::kPassedOver; }
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

// Fails with kInvalid, naming the limit, when no reader would accept the record.
Status check_limits(const SessionRecord& record);
ByteVector encode(const SessionRecord& record);
Result<SessionRecord> decode_session_record(ByteSpan bytes);

}  // namespace ashlar
