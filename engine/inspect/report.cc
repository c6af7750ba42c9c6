#include "inspect/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {

bool DiskReport::is_clean() const {
  return findings.empty() &&
         std::ranges::all_of(parts, [](const InspectedPart& part) { return part.doubts.empty(); });
}

void add_finding(DiskReport& report, Finding finding) {
  if (report.findings.size() < kMostFindings) {
    report.findings.push_back(std::move(finding));
  } else {
    ++report.findings_left_out;
  }
}

void add_doubt(InspectedPart& part, std::string doubt) {
  if (part.doubts.size() > kMostDoubts) return;
  if (part.doubts.size() == kMostDoubts) doubt = "and more";
  part.doubts.push_back(std::move(doubt));
}

std::string printable(std::string_view name) {
  std::string text;
  text.reserve(name.size());
  for (const char c : name) {
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace ashlar
