// What should not be baked into the template of a machine: rules.cc is the table.
//
// A pattern is a path of which "*" stands for any part of a name, "~" in front for each folder in which
// people and services have their homes, and a last "**" for everything below, at any depth.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

// What makes an entry that a pattern names a finding.
enum class Evidence : unsigned char {
  kExists,      // a file or folder
  kNotEmpty,    // a file that holds anything
  kEntries,     // a file with lines other than blank ones and comments
  kMachineId,   // a file that holds an id, not "uninitialized"
  kPrivateKey,  // a file in whose beginning a private key is written out
  kCloudKey,    // the same for access keys of clouds
};

struct Rule {
  std::string_view kind;  // of its findings, such as "shell-history"
  std::string_view pattern;
  Evidence evidence;
  std::string_view reason;  // why it should not be there: the end of a sentence
};

// Of a file's content no more is looked at.
inline constexpr std::size_t kContentBytes = std::size_t{64} << 10U;

// In the order in which they are asked: the first that finds something in a file is its finding.
std::span<const Rule> rules();

inline bool needs_content(Evidence evidence) { return evidence >= Evidence::kEntries; }
// Whether content, the first kContentBytes of a file, is the evidence of a kind that needs it.
bool proves(Evidence evidence, std::string_view content);

// A pattern of a rule, name by name.
struct PathPattern {
  const Rule* rule = nullptr;
  std::vector<std::string> names;  // the last may be "**"
};

// All patterns of all rules for a file system that is mounted at `mount_point` ("" or "/home"): those that
// reach below it, from there on. In the order of the rules.
std::vector<PathPattern> patterns_below(std::string_view mount_point);

bool matches(const std::string& pattern, const std::string& name);

}  // namespace ashlar
