// JSON records with members changed and the checksum made right again.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "codec/hash.h"

namespace ashlar {

inline std::string resealed(nlohmann::json body) {
  body.erase("checksum");
  const std::uint64_t sum = checksum64(as_byte_span(body.dump()));
  std::string digits(16, '0');
  for (std::size_t i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15U];
  body["checksum"] = digits;
  return body.dump();
}

// Returns the record with `changes` applied and a right checksum; a change to null removes the member.
inline std::string changed(const std::string& text, const nlohmann::json& changes) {
  nlohmann::json body = nlohmann::json::parse(text);
  for (const auto& [key, value] : changes.items()) {
    if (value.is_null()) {
      body.erase(key);
    } else {
      body[key] = value;
    }
  }
  return resealed(std::move(body));
}

}  // namespace ashlar
