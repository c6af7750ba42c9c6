// Access: who may see and launch an image, and which images an account finds in a list. EC2's rules.
#pragma once

#include "base/clock.h"
#include "document/image_record.h"

namespace ashlar {

inline bool is_deprecated(const ImageRecord& record, UtcTime now) {
  return record.deprecated && *record.deprecated <= now;
}

// Returns whether the launch permissions name the account, or all accounts.
inline bool is_executable_by(const ImageRecord& record, AccountId account) {
  return record.is_public || record.shared_with.contains(account);
}

// Returns whether the image is deregistered, in the recycle bin or out of it: then it exists for the bin
// only.
inline bool is_retired(const ImageRecord& record) {
  return record.state == ImageState::kDeregistered || record.state == ImageState::kPurged;
}

// Returns whether the image exists for an account. Its owner sees it until it is deregistered; others see an
// image that was shared with them, once it is available.
inline bool may_see(const ImageRecord& record, AccountId account) {
  if (is_retired(record)) return false;
  if (record.owner == account) return true;
  return record.state == ImageState::kAvailable && is_executable_by(record, account);
}

// Returns whether lists show the image to an account. A deprecated image of another account is left out; it
// can still be described and launched by its id.
inline bool is_listed(const ImageRecord& record, AccountId account, UtcTime now) {
  return may_see(record, account) && (record.owner == account || !is_deprecated(record, now));
}

}  // namespace ashlar
