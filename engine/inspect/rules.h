// Rules: the files that should not be baked into the template of a machine; rules.cc has the table.
// Internal to the module.
//
// In a pattern, "*" stands for any part of a name, "~" in front for each folder in which people and services
// have their homes, and a last "**" for all entries below, at any depth.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

// The property that makes an entry a finding when a pattern names it.
enum class Evidence : unsigned char {
  kExists,      // a file or folder
  kNotEmpty,    // a file that is not empty
  kEntries,     // a file with lines other than blank ones and comments
  kMachineId,   // a file that holds an id, not "uninitialized"
  kPrivateKey,  // a file with a private key written out near its beginning
  kCloudKey,    // a file with an access key of a cloud near its beginning
};

struct Rule {
  std::string_view kind;  // kind of its findings, such as "shell-history"
  std::string_view pattern;
  Evidence evidence;
  std::string_view reason;  // why it should not be there: the end of a sentence
};

// How much of a file's content is looked at.
inline constexpr std::size_t kContentBytes = std::size_t{64} << 10U;

// Returns all rules in the order in which they are tried: the first that matches a file makes its finding.
std::span<const Rule> rules();

inline bool needs_content(Evidence evidence) { return evidence >= Evidence::kEntries; }
// Returns whether `content`, the first kContentBytes of a file, is evidence of a kind that needs content.
bool proves(Evidence evidence, std::string_view content);

// The pattern of a rule, split into names.
struct PathPattern {
  const Rule* rule = nullptr;
  std::vector<std::string> names;  // the last may be "**"
};

// Returns the patterns of all rules that reach below `mount_point` ("" or "/home"), from there on, for a file
// system that is mounted there. In the order of the rules.
std::vector<PathPattern> patterns_below(std::string_view mount_point);

bool matches(const std::string& pattern, const std::string& name);

}  // namespace ashlar
