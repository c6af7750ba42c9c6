// LifecyclePolicyCatalog: records under `lifecycle-policies/<id>`, replaced as a whole.
#pragma once

#include "catalog/record_folder.h"
#include "document/lifecycle_policy.h"

namespace ashlar {

struct LifecyclePolicyKind {
  using Record = LifecyclePolicy;
  using Id = LifecyclePolicyId;
  static constexpr std::string_view kFolder = "lifecycle-policies/";
  static constexpr std::size_t kMaxBytes = kMaxLifecyclePolicyBytes;
  static std::string encode(const LifecyclePolicy& policy) { return ashlar::encode(policy); }
  static Result<LifecyclePolicy> decode(ByteSpan bytes) { return decode_lifecycle_policy(as_text(bytes)); }
};

using LifecyclePolicyCatalog = RecordFolder<LifecyclePolicyKind>;

}  // namespace ashlar
