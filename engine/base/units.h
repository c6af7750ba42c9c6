// Units: sizes as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

// Parses "4096", "64K", "10G", "64TiB", "1.5 GiB": powers of 1024, in any case, with an optional "iB" or "B".
// A fraction must give whole bytes.
Result<std::uint64_t> parse_size(std::string_view text);

// Formats "0 B", "4.00 KiB", "1.45 GiB": three digits and a binary unit.
std::string format_size(std::uint64_t bytes);

}  // namespace ashlar
