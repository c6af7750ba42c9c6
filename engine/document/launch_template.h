// The record of a launch template: the choices that machines are launched with, under a name and in numbered
// versions. Page: docs/format/launch_template.md.
//
// The record lives as `launch-templates/<id>`, is replaced as a whole, and only its owner can use it. A
// version never changes, and its number is not used a second time while the template exists; the default
// version may change.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint32_t kLaunchTemplateVersion = 1;
inline constexpr std::size_t kMaxLaunchTemplateBytes = 4UL << 20U;
inline constexpr std::size_t kMaxTemplateVersions = 1000;
inline constexpr std::size_t kMaxTemplateMappings = 64;
inline constexpr std::size_t kMaxTemplateDescriptionBytes = 255;

// The choices that a launch states. Empty text and 0 mean "unstated": the launch itself, or the default,
// decides.
struct LaunchChoices {
  std::string source;                 // id of an image or a snapshot
  std::vector<std::string> mappings;  // lines of image/mapping.h, one for each device
  std::string name;
  ByteCount memory;
  std::uint32_t cpus = 0;
  ByteCount size;  // size of the disk of a snapshot
  std::string kernel;
  std::string initrd;
  std::string append;
  std::string accelerator;
  std::string network;
  bool keep_volumes = false;
  friend bool operator==(const LaunchChoices&, const LaunchChoices&) = default;
};

// Returns `base` with all that `changes` states in its place. A mapping replaces the mapping of the same
// device.
LaunchChoices merged(LaunchChoices base, const LaunchChoices& changes);

struct TemplateVersion {
  std::uint64_t number = 1;
  UtcTime created;
  std::string description;
  LaunchChoices choices;
  friend bool operator==(const TemplateVersion&, const TemplateVersion&) = default;
};

struct LaunchTemplate {  // launch_template_id() of owner and name
  LaunchTemplateId id;   // launch_template_id() of its owner and name
  std::uint64_t revision = 1;
  std::string name;  // 3 to 128 of the characters that EC2 allows
  AccountId owner;
  UtcTime created;
  std::uint64_t default_version = 1;
  std::uint64_t numbers_given = 1;        // the next version gets the number after this one
  std::vector<TemplateVersion> versions;  // ascending, at least one

  friend bool operator==(const LaunchTemplate&, const LaunchTemplate&) = default;
};

LaunchTemplateId launch_template_id(AccountId owner, std::string_view name);
// Returns nullptr when the template has no version of that number.
const TemplateVersion* find_version(const LaunchTemplate& record, std::uint64_t number);

Status check_template_name(std::string_view name);
// Checks what a launch states. Of a mapping, only the length is checked here.
Status check_limits(const LaunchChoices& choices);
// Returns kInvalid when a limit is broken; the message names it.
Status check_limits(const LaunchTemplate& record);
std::string encode(const LaunchTemplate& record);
// Returns kUnsupported for a newer version. Refuses members that version 1 does not have.
Result<LaunchTemplate> decode_launch_template(std::string_view text);

}  // namespace ashlar
