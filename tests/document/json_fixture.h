// The two tests that every JSON record has to pass: its golden file, and damage.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "base/result.h"

namespace ashlar {

// Checks that the golden file decodes to `golden`, and that `golden` encodes to the file.
template <class Record, class Decode>
void expect_fixture(const std::string& name, const Record& golden, const Decode& decode) {
  std::ifstream in(ASHLAR_FIXTURES "/formats/" + name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(text, encode(golden));
  EXPECT_EQ(decode(text).take(), golden);
}

// Checks that every truncation, but for the last line's end, and every flipped bit is kCorrupt.
template <class Record, class Decode>
void expect_damage_is_refused(const Record& golden, const Decode& decode) {
  const std::string text = encode(golden);
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    const auto got = decode(text.substr(0, size));
    ASSERT_FALSE(got.ok()) << size;
    ASSERT_EQ(got.error().code(), ErrorCode::kCorrupt) << size;
  }
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto got = decode(flipped);
    ASSERT_FALSE(got.ok()) << bit;
    ASSERT_EQ(got.error().code(), ErrorCode::kCorrupt) << bit << ": " << got.error().text();
  }
}

}  // namespace ashlar
