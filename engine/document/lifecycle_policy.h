// The record of a lifecycle policy: which images of an account are deprecated and deregistered, and when.
// Page: docs/format/lifecycle_policy.md.
//
// The record lives as `lifecycle-policies/<id>` and is replaced as a whole. image/lifecycle.h acts on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint32_t kLifecyclePolicyVersion = 1;
inline constexpr std::size_t kMaxLifecyclePolicyBytes = 64UL * 1024;
inline constexpr std::size_t kMaxPolicyFilters = 20;
inline constexpr std::uint32_t kMaxRetentionDays = 36500;
inline constexpr std::uint32_t kMaxRetentionCount = 100000;

// A limit of age and number. An image is past it when it is not among the newest `keep_last` images of the
// policy and is at least `after_days` days old. 0 means unstated; at least one of the two is stated.
struct Retention {
  std::uint32_t keep_last = 0;
  std::uint32_t after_days = 0;
  friend bool operator==(const Retention&, const Retention&) = default;
};

struct LifecyclePolicy {
  LifecyclePolicyId id;  // lifecycle_policy_id() of owner and name
  std::uint64_t revision = 1;
  std::string name;  // 1 to 128 letters, digits and ._-
  AccountId owner;
  UtcTime created;
  std::vector<std::string> filters;  // at least one line of image/filter.h; an image must pass all
  std::optional<Retention> deprecate;
  std::optional<Retention> deregister;
  bool delete_snapshots = false;  // deletes snapshots of deregistered images that nothing else needs

  friend bool operator==(const LifecyclePolicy&, const LifecyclePolicy&) = default;
};

LifecyclePolicyId lifecycle_policy_id(AccountId owner, std::string_view name);

// Parses a policy as a person writes it: a JSON object with `name`, `filters` and, as options, `deprecate`,
// `deregister` (objects with `keep_last`, `after_days` or both) and `delete_snapshots`. It has no owner, id
// or time.
Result<LifecyclePolicy> parse_lifecycle_policy(std::string_view text);
// Returns the policy as such a document, to be edited and parsed once more.
std::string lifecycle_policy_text(const LifecyclePolicy& policy);

// Returns kInvalid when a limit is broken; the message names it. Of a filter, only the length is checked
// here.
Status check_limits(const LifecyclePolicy& policy);
std::string encode(const LifecyclePolicy& policy);
// Returns kUnsupported for a newer version. Refuses members that version 1 does not have.
Result<LifecyclePolicy> decode_lifecycle_policy(std::string_view text);

}  // namespace ashlar
