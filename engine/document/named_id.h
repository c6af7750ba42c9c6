// Ids of records that are found by name: an id is computed from the owner and the name, so an owner can use a
// name once, and a reader who knows both finds the record. Pages: docs/format/launch_template.md,
// docs/format/lifecycle_policy.md. Internal to the module.
#pragma once

#include <string>
#include <string_view>

#include "base/id.h"
#include "codec/hash.h"

namespace ashlar {

// Returns the first 64 bits, big-endian, of SHA-256 over `domain`, the 12 digits of the owner, "/" and the
// name. Never returns 0.
template <class Id>
Id named_id(std::string_view domain, AccountId owner, std::string_view name) {
  const std::string what = owner.text() + "/" + std::string(name);
  const Sha256 digest = sha256(domain, as_byte_span(what));
  Id id;
  for (std::size_t i = 0; i < sizeof id.value; ++i)
    id.value = id.value << 8U | static_cast<std::uint64_t>(digest.at(i));
  if (id.value == 0) id.value = 1;
  return id;
}

}  // namespace ashlar
