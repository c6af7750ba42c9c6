// Who may see and launch an image, and what an account finds in a list. EC2's rules.
#pragma once

#include "base/clock.h"
#include "document/image_record.h"

namespace ashlar {

inline bool is_deprecated(const ImageRecord& record, UtcTime now) {
  return record.deprecated && *record.deprecated <= now;
}

// By launch permissions: the account was named, or all were.
inline bool is_executable_by(const ImageRecord& record, AccountId account) {
  return record.is_public || record.shared_with.contains(account);
}

// For everybody else it does not exist. Owners see theirs in every state but deregistered; others see what
// was shared with them once it is available.
inline bool may_see(const ImageRecord& record, AccountId account) {
  if (record.state == ImageState::kDeregistered) return false;
  if (record.owner == account) return true;
  return record.state == ImageState::kAvailable && is_executable_by(record, account);
}

// A deprecated image of somebody else is left out of lists; it can still be described and launched by its id.
inline bool is_listed(const ImageRecord& record, AccountId account, UtcTime now) {
  return may_see(record, account) && (record.owner == account || !is_deprecated(record, now));
}

}  // namespace ashlar
