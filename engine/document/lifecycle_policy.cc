#include "document/lifecycle_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "document/json_record.h"
#include "document/named_id.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr JsonFormat kFormat = {"ashlar lifecycle policy", "lifecycle policy", kLifecyclePolicyVersion,
                                kMaxLifecyclePolicyBytes, 2};  // the record; its filters or a retention
constexpr std::string_view kIdDomain = "ashlar lifecycle policy";
constexpr std::size_t kMaxNameBytes = 128;

Json to_json(const std::optional<Retention>& retention) {
  if (!retention) return nullptr;
  return {{"keep_last", retention->keep_last}, {"after_days", retention->after_days}};
}

bool read(const Json* body, std::optional<Retention>& out) {
  if (!body || (!body->is_null() && !body->is_object())) return false;
  if (body->is_null()) return true;
  JsonMembers members(*body);
  members.number("keep_last", out.emplace().keep_last);
  members.number("after_days", out->after_days);
  return members.all_read();
}

bool read_rules(JsonMembers& members, LifecyclePolicy& policy) {
  members.text("name", policy.name);
  members.flag("delete_snapshots", policy.delete_snapshots);
  members.texts("filters", policy.filters);
  const bool deprecate = read(members.any("deprecate"), policy.deprecate);
  return read(members.any("deregister"), policy.deregister) && deprecate;
}

Status check_retention(std::string_view what, const std::optional<Retention>& retention) {
  if (!retention) return {};
  if (*retention == Retention{}) return invalid(fmt::format("{} needs keep_last, after_days or both", what));
  if (retention->keep_last > kMaxRetentionCount || retention->after_days > kMaxRetentionDays)
    return invalid(fmt::format("{}: keep_last is at most {}, after_days at most {}", what, kMaxRetentionCount,
                               kMaxRetentionDays));
  return {};
}

Status check_rules(const LifecyclePolicy& policy) {
  const bool plain = std::ranges::all_of(policy.name, [](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
  if (!plain || policy.name.empty() || policy.name.size() > kMaxNameBytes)
    return invalid(fmt::format("'{}' is not a policy name: 1 to {} letters, digits and ._-", policy.name,
                               kMaxNameBytes));
  if (policy.filters.empty() || policy.filters.size() > kMaxPolicyFilters)
    return invalid(fmt::format("a policy has 1 to {} filters", kMaxPolicyFilters));
  for (const std::string& filter : policy.filters) TRY(check_json_text("a filter", filter, kMaxTextBytes));
  if (!policy.deprecate && !policy.deregister)
    return invalid("a policy says when images are deprecated, deregistered, or both");
  if (policy.delete_snapshots && !policy.deregister)
    return invalid("snapshots are deleted only of images that are deregistered");
  TRY(check_retention("deprecate", policy.deprecate));
  return check_retention("deregister", policy.deregister);
}

// Adds the members that a person may leave out.
Json completed(Json body) {
  for (const char* key : {"deprecate", "deregister"}) {
    Json& retention = body[key];
    if (!retention.is_object()) continue;
    for (const char* part : {"keep_last", "after_days"}) {
      if (!retention.contains(part)) retention[part] = 0U;
    }
  }
  if (!body.contains("delete_snapshots")) body["delete_snapshots"] = false;
  return body;
}

// Returns the place of a byte that a JSON parser refuses, which it counts from 1: "line 1, column 14".
std::string place_in(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const std::size_t line_start = before.rfind('\n') + 1;  // 0 in the first line, where rfind() gives npos
  return fmt::format("line {}, column {}", std::ranges::count(before, '\n') + 1,
                     before.size() - line_start + 1);
}

}  // namespace

LifecyclePolicyId lifecycle_policy_id(AccountId owner, std::string_view name) {
  return named_id<LifecyclePolicyId>(kIdDomain, owner, name);
}

Result<LifecyclePolicy> parse_lifecycle_policy(std::string_view text) {
  if (text.size() > kMaxLifecyclePolicyBytes) return invalid("the policy is too long");
  bool deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, const Json&) {
    deep = deep || depth > kFormat.depth;
    return !deep;
  };
  Json body;
  try {
    body = Json::parse(text, shallow);
  } catch (const Json::parse_error& error) {
    return invalid("not a valid policy: JSON syntax error at " + place_in(text, error.byte));
  } catch (const Json::out_of_range&) {
    return invalid("not a valid policy: a number is too large");
  }
  if (deep) return invalid("not a valid policy: its members are nested too deeply");
  if (!body.is_object()) return invalid("not a valid policy: it has to be one JSON object");
  body = completed(std::move(body));
  LifecyclePolicy policy;
  JsonMembers members(body);
  if (!read_rules(members, policy) || !members.all_read())
    return invalid(
        "a policy has the members name (text), filters (a list of texts), deprecate and deregister (objects "
        "with keep_last and after_days, numbers) and delete_snapshots (true or false), and no others");
  TRY(check_rules(policy));
  return policy;
}

std::string lifecycle_policy_text(const LifecyclePolicy& policy) {
  nlohmann::ordered_json body = {{"name", policy.name}, {"filters", policy.filters}};
  if (policy.deprecate) body["deprecate"] = to_json(policy.deprecate);
  if (policy.deregister) body["deregister"] = to_json(policy.deregister);
  body["delete_snapshots"] = policy.delete_snapshots;
  return body.dump(2) + "\n";
}

Status check_limits(const LifecyclePolicy& policy) {
  TRY(check_rules(policy));
  if (policy.owner.value == 0 || policy.revision == 0 ||
      policy.id != lifecycle_policy_id(policy.owner, policy.name))
    return invalid("a policy has an owner, a revision, and the id of its name");
  return {};
}

std::string encode(const LifecyclePolicy& policy) {
  return write_json_record(kFormat, {{"id", policy.id.text()},
                                     {"revision", policy.revision},
                                     {"name", policy.name},
                                     {"owner", policy.owner.text()},
                                     {"created_unix_ns", policy.created.unix_ns},
                                     {"filters", policy.filters},
                                     {"deprecate", to_json(policy.deprecate)},
                                     {"deregister", to_json(policy.deregister)},
                                     {"delete_snapshots", policy.delete_snapshots}});
}

Result<LifecyclePolicy> decode_lifecycle_policy(std::string_view text) {
  std::uint32_t version = 0;
  const Json body = TRY(read_json_record(kFormat, text, version));
  LifecyclePolicy policy;
  JsonMembers members(body);
  members.id("id", policy.id);
  members.number("revision", policy.revision);
  members.id("owner", policy.owner);
  members.number("created_unix_ns", policy.created.unix_ns);
  if (!read_rules(members, policy) || !members.all_read())
    return corrupt("lifecycle policy: a member is missing, of a wrong type, or unknown");
  Status limits = check_limits(policy);
  if (!limits.ok()) return corrupt("lifecycle policy: " + limits.error().text());
  return policy;
}

}  // namespace ashlar
