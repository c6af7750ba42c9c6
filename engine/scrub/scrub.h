// Scrub: reads everything in a store again and again, a part at a time, within a budget, so that decay is
// found while another copy can still heal it.
//
// A scrub checks packs as verify does, group by group (format/scrub_record.h): first those that were checked
// longest ago. After each part it notes in the store how far it is; one that is stopped goes on there. At its
// end it reads the records and walks the trees of all snapshots, so that it names everything that is missing.
#pragma once

#include <cstdint>
#include <optional>

#include "catalog/scrubs.h"
#include "scrub/verify.h"

namespace ashlar {

struct ScrubOptions {
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  UtcTime before = UtcTime::now();     // groups that were checked later than this are left out
  std::optional<std::size_t> cursor;   // the group to begin with, in ascending order; else the oldest first
};

// How old the knowledge of a store's bytes is, over the groups that have packs.
struct ScrubAge {
  std::uint64_t packs = 0;
  std::uint64_t never_checked = 0;  // packs in groups that no scrub has read
  // When the bytes that were read longest ago were read; the making of the store while some never were.
  UtcTime oldest;
};

struct ScrubReport {
  VerifyReport found;      // what was read; damage that is known from earlier, too
  std::size_t cursor = 0;  // the group that a read-only scrub goes on with
  std::string unnoted;     // why it could not be noted in the store how far the scrub is; empty: it was
  ScrubAge age;            // afterwards
};

// Returns the age of what is known. Lists the packs.
Result<ScrubAge> scrub_age(const VerifyParts& parts);

// Scrubs. When it is stopped it fails with kCancelled; what it has checked until then is noted.
Result<ScrubReport> scrub(const VerifyParts& parts, const ScrubOptions& options, VerifyProgress& progress,
                          const std::stop_token& stop);

// Says what is recorded as damaged and what that costs; reads no pack.
Result<VerifyReport> describe_damage(const VerifyParts& parts, const std::stop_token& stop);

}  // namespace ashlar
