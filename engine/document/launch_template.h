// The record of a launch template: what machines are launched with, under a name, in numbered versions. Page:
// docs/format/launch_template.md.
//
// It lives as `launch-templates/<id>`, is replaced as a whole, and is the owner's alone. A version never
// changes, and its number is not given again while the template lives; which one is the default may change.
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

// What a launch states. Empty text and 0 are "unstated": the launch itself, or the default, decides.
struct LaunchChoices {
  std::string source;                 // id of an image or a snapshot
  std::vector<std::string> mappings;  // lines of image/mapping.h, one a device
  std::string name;
  ByteCount memory;
  std::uint32_t cpus = 0;
  ByteCount size;  // of a snapshot's disk
  std::string kernel;
  std::string initrd;
  std::string append;
  std::string accelerator;
  std::string network;
  bool keep_volumes = false;
  friend bool operator==(const LaunchChoices&, const LaunchChoices&) = default;
};

// `base`, with all that `changes` states in its place. A mapping takes the place of the one of its device.
LaunchChoices merged(LaunchChoices base, const LaunchChoices& changes);

struct TemplateVersion {
  std::uint64_t number = 1;
  UtcTime created;
  std::string description;
  LaunchChoices choices;
  friend bool operator==(const TemplateVersion&, const TemplateVersion&) = default;
};

struct LaunchTemplate {
  LaunchTemplateId id;  // launch_template_id() of its owner and name
  std::uint64_t revision = 1;
  std::string name;  // 3 to 128 of EC2's characters
  AccountId owner;
  UtcTime created;
  std::uint64_t default_version = 1;
  std::uint64_t numbers_given = 1;        // the next version gets the one after it
  std::vector<TemplateVersion> versions;  // ascending, at least one

  friend bool operator==(const LaunchTemplate&, const LaunchTemplate&) = default;
};

LaunchTemplateId launch_template_id(AccountId owner, std::string_view name);
// Null when there is no version of that number.
const TemplateVersion* find_version(const LaunchTemplate& record, std::uint64_t number);

Status check_template_name(std::string_view name);
// Mappings are only held to a length here.
Status check_limits(const LaunchChoices& choices);
// kInvalid, and the message names what is wrong.
Status check_limits(const LaunchTemplate& record);
std::string encode(const LaunchTemplate& record);
// kUnsupported for a newer version; members that version 1 does not have are refused.
Result<LaunchTemplate> decode_launch_template(std::string_view text);

}  // namespace ashlar
