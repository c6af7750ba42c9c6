// What an inspection of a disk found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

// Something that should not be in the template of a machine.
struct Finding {
  unsigned partition = 0;  // 0: of a disk without partitions
  std::string path;        // within its file system, as printable() has it; empty: the whole partition
  std::string_view kind;
  std::string_view reason;
};

// A partition, or a whole disk that has none.
struct InspectedPart {
  unsigned partition = 0;
  ByteOffset first;
  ByteCount size;
  std::string type;  // "ext4", "swap", …; empty: nothing that is known
  std::string label;
  bool is_looked_into = false;
  std::string note;                 // why that, or why not, where no doubt says it
  std::vector<std::string> doubts;  // what could not be looked into, and why
};

struct DiskReport {
  std::string partition_table;  // "gpt", "dos"; empty: none
  std::vector<InspectedPart> parts;
  std::vector<Finding> findings;        // at most kMostFindings
  std::uint64_t findings_left_out = 0;  // further ones, counted only

  // Without findings and without doubts.
  bool is_clean() const;
};

inline constexpr std::size_t kMostFindings = 1000;
inline constexpr std::size_t kMostDoubts = 20;  // of a part; a last line says that there are more

void add_finding(DiskReport& report, Finding finding);
void add_doubt(InspectedPart& part, std::string doubt);

// Names from guests as text that steers no terminal and is no lie: other bytes than printable ASCII as \xNN.
std::string printable(std::string_view name);

}  // namespace ashlar
