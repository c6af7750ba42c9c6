// SessionWatch: since when the beat of each session has not changed, as one observer saw it. The observer
// keeps this between its runs, and judges by a clock that only goes forward while this boot lasts.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/session_record.h"

namespace ashlar {

class SessionWatch {
 public:
  using Boot = std::array<std::byte, 16>;

  // Reads what encode() wrote. What another boot saw, or what can't be read, is forgotten: that only makes
  // sessions seem younger.
  static SessionWatch decode(std::string_view text, const Boot& boot);
  std::string encode() const;

  // Takes in all sessions of the store as they are at `now`, a time since the boot.
  void look(const std::vector<SessionRecord>& sessions, std::chrono::nanoseconds now);
  // Returns for how long the beat has been the same at least; 0 for a session that was not seen.
  std::chrono::nanoseconds silent_for(const SessionRecord& session, std::chrono::nanoseconds now) const;

 private:
  struct Seen {
    Nonce nonce;
    std::int64_t since_ns = 0;
  };
  Boot boot_{};
  std::map<SessionId, Seen> seen_;
};

}  // namespace ashlar
