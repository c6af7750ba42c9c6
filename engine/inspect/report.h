// DiskReport: the result of the inspection of a disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

// Something that should not be in the template of a machine.
struct Finding {
  unsigned partition = 0;  // 0: a disk without partitions
  std::string path;  // path within its file system, in the form of printable(); empty: the whole partition
  std::string_view kind;
  std::string_view reason;
};

// A partition, or a whole disk that has none.
struct InspectedPart {
  unsigned partition = 0;
  ByteOffset first;
  ByteCount size;
  std::string type;  // "ext4", "swap", …; empty when it is unknown
  std::string label;
  bool is_looked_into = false;
  std::string note;                 // why it was looked into or not, where no doubt says it
  std::vector<std::string> doubts;  // what could not be looked into, and why
};

struct DiskReport {
  std::string partition_table;  // "gpt", "dos"; empty when there is none
  std::vector<InspectedPart> parts;
  std::vector<Finding> findings;        // at most kMostFindings
  std::uint64_t findings_left_out = 0;  // findings past the limit, counted only

  // Returns whether there are no findings and no doubts.
  bool is_clean() const;
};

inline constexpr std::size_t kMostFindings = 1000;
inline constexpr std::size_t kMostDoubts = 20;  // doubts of a part; a last line says that there are more

void add_finding(DiskReport& report, Finding finding);
void add_doubt(InspectedPart& part, std::string doubt);

// Returns a guest's name as text that can't steer a terminal or mislead: bytes other than printable ASCII
// become \xNN, and so does the backslash.
std::string printable(std::string_view name);

}  // namespace ashlar
