#include "base/units.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace ashlar {
namespace {

TEST(ParseSize, ReadsTheUsualForms) {
  const std::pair<const char*, std::uint64_t> forms[] = {{"0", 0},
                                                         {"4096", 4096},
                                                         {"1B", 1},
                                                         {"64K", 65536},
                                                         {"64k", 65536},
                                                         {"64KB", 65536},
                                                         {"64KiB", 65536},
                                                         {"64 KiB", 65536},
                                                         {"10G", 10ULL << 30},
                                                         {"64TiB", 64ULL << 40},
                                                         {"1.5 GiB", 3ULL << 29},
                                                         {"0.5K", 512},
                                                         {"15E", 15ULL << 60},
                                                         {"18446744073709551615", ~0ULL}};
  for (const auto& [text, bytes] : forms) {
    const auto parsed = parse_size(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.error().text();
    EXPECT_EQ(parsed.value(), bytes) << text;
  }
}

TEST(ParseSize, RefusesWhatIsNoSizeOrTooLarge) {
  for (const char* text : {"",      " ",
                           "K",     "-1",
                           "+1",    "1.K",
                           ".5K",   "1..5K",
                           "1.5",   "1Ki",
                           "1KiBB", "1X",
                           "1K1",   "0x10",
                           "1 G G", "18446744073709551616",
                           "16E",   "17179869184G",
                           "1e3",   "1,5G",
                           "NaN"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed.ok()) << text << " was read as " << parsed.value();
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
    EXPECT_NE(parsed.error().text().find("'" + std::string(text) + "'"), std::string::npos)
        << parsed.error().text();
  }
}

TEST(ParseSize, SaysThatASizeIsTooLarge) {
  for (const char* text : {"18446744073709551616", "16E", "17179869184G", "99999999T"})
    EXPECT_NE(parse_size(text).error().text().find("is too large"), std::string::npos) << text;
}

TEST(FormatSize, ShowsThreeDigitsAndABinaryUnit) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(4096), "4.00 KiB");
  EXPECT_EQ(format_size(std::uint64_t{64} << 40), "64.0 TiB");
}

TEST(FormatSize, IsReadBackToAboutTheSame) {
  Prng prng(1);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t bytes = prng.next() >> prng.below(64);
    const auto parsed = parse_size(format_size(bytes));
    // "1.45 GiB" is not a whole number of bytes, so it is refused; what is accepted must be near.
    if (!parsed.ok()) continue;
    const double ratio = static_cast<double>(parsed.value() + 1) / static_cast<double>(bytes + 1);
    EXPECT_NEAR(ratio, 1.0, 0.01) << bytes << " " << format_size(bytes);
  }
}

}  // namespace
}  // namespace ashlar
