// The record of a lifecycle policy: which images of an account are deprecated and deregistered, and when.
// Page: docs/format/lifecycle_policy.md.
//
// It lives as `lifecycle-policies/<id>` and is replaced as a whole. Acting on it: image/lifecycle.h.
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

// Past its retention is an image that is not among the newest `keep_last` of the policy's, and is at least
// `after_days` old. 0: unstated; one of them is stated.
struct Retention {
  std::uint32_t keep_last = 0;
  std::uint32_t after_days = 0;
  friend bool operator==(const Retention&, const Retention&) = default;
};

struct LifecyclePolicy {
  LifecyclePolicyId id;  // lifecycle_policy_id() of its owner and name
  std::uint64_t revision = 1;
  std::string name;  // 1 to 128 letters, digits and ._-
  AccountId owner;
  UtcTime created;
  std::vector<std::string> filters;  // at least one; lines of image/filter.h, all of which an image passes
  std::optional<Retention> deprecate;
  std::optional<Retention> deregister;
  bool delete_snapshots = false;  // of deregistered images, as far as nothing else needs them

  friend bool operator==(const LifecyclePolicy&, const LifecyclePolicy&) = default;
};

LifecyclePolicyId lifecycle_policy_id(AccountId owner, std::string_view name);

// A policy as a person writes it: a JSON object with `name`, `filters`, and at will `deprecate`, `deregister`
// (objects with `keep_last`, `after_days` or both) and `delete_snapshots`. Owner, id and time are not in it.
Result<LifecyclePolicy> parse_lifecycle_policy(std::string_view text);
// The same document, to be edited and given again.
std::string lifecycle_policy_text(const LifecyclePolicy& policy);

// kInvalid, and the message names what is wrong. Filters are only held to a length here.
Status check_limits(const LifecyclePolicy& policy);
std::string encode(const LifecyclePolicy& policy);
// kUnsupported for a newer version; members that version 1 does not have are refused.
Result<LifecyclePolicy> decode_lifecycle_policy(std::string_view text);

}  // namespace ashlar
