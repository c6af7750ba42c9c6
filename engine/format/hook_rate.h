// The rate of hooks: one of so many block ids is kept in the index (docs/decisions/hook-rate.md). Page:
// docs/format/store.md.
#pragma once

#include <cstdint>

namespace ashlar {

inline constexpr std::uint32_t kDefaultHookRate = 64;
inline constexpr std::uint32_t kMaxHookRate = 256;  // rates are powers of two

}  // namespace ashlar
