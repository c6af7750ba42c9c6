// Assertions on Results that print the error, and functions that make test bytes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"

#define ASSERT_DONE(expr)                                                \
  do {                                                                   \
    const auto& asserted_result = (expr);                                \
    ASSERT_TRUE(asserted_result.ok()) << asserted_result.error().text(); \
  } while (false)

#define EXPECT_FAILS(expr, expected_code)                                 \
  do {                                                                    \
    const auto& failing_result = (expr);                                  \
    EXPECT_FALSE(failing_result.ok());                                    \
    if (!failing_result.ok()) {                                           \
      EXPECT_EQ(::ashlar::error_code_name(failing_result.error().code()), \
                ::ashlar::error_code_name(expected_code))                 \
          << failing_result.error().text();                               \
    }                                                                     \
  } while (false)

namespace ashlar {

inline ByteVector random_bytes(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

inline std::string text_of(const ByteVector& bytes) { return std::string(as_text(bytes)); }

}  // namespace ashlar
