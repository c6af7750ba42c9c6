// Tests of what proves a finding, and of where the rules look.
#include "inspect/rules.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "inspect/report.h"

namespace ashlar {
namespace {

TEST(Rules, WhatIsAnEntry) {
  EXPECT_TRUE(proves(Evidence::kEntries, "# keys\n\n  ssh-ed25519 AAAA me"));
  for (const char* text : {"", "\n", "# nobody\n", "  \t\n#\n"})
    EXPECT_FALSE(proves(Evidence::kEntries, text)) << text;
}

TEST(Rules, WhatIsAMachineId) {
  EXPECT_TRUE(proves(Evidence::kMachineId, "b08dfa6083e7567a1921a715000001fb\n"));
  for (const char* text : {"", "\n", "uninitialized\n", "uninitialized"})
    EXPECT_FALSE(proves(Evidence::kMachineId, text)) << text;
}

TEST(Rules, WhatIsAPrivateKey) {
  for (const char* text :
       {"-----BEGIN PRIVATE KEY-----", "junk\n-----BEGIN RSA PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "PuTTY-User-Key-File-3: ssh-ed25519",
        "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
        "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n"})
    EXPECT_TRUE(proves(Evidence::kPrivateKey, text)) << text;
  for (const char* text :
       {"", "-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "a PRIVATE KEY",
        "-----BEGIN PUBLIC KEY-----\nPRIVATE KEY-----", "-----BEGIN ", "[Interface]\nAddress = ::1"})
    EXPECT_FALSE(proves(Evidence::kPrivateKey, text)) << text;
}

TEST(Rules, WhatIsACloudKey) {
  const std::string secret(40, 'x');
  for (const std::string& text :
       {std::string("AKIAI44QH8DHBQWERTYU"), std::string("id=ASIAI44QH8DHBQWERTYU;"),
        "aws_secret_access_key = " + secret, "\"aws_secret_access_key\": \"" + secret + "\"",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + secret + "=="})
    EXPECT_TRUE(proves(Evidence::kCloudKey, text)) << text;
  for (const std::string& text :
       {std::string("AKIAIOSFODNN7EXAMPLE"), std::string("AKIA"), std::string("AKIAI44QH8DHBQWERTY"),
        std::string("XAKIAI44QH8DHBQWERTYU"), std::string("AKIAI44QH8DHBQWERTYUI"),
        std::string("akiai44qh8dhbqwertyu"), std::string("aws_secret_access_key ="),
        std::string("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")})
    EXPECT_FALSE(proves(Evidence::kCloudKey, text)) << text;
}

TEST(Rules, EveryRuleReachesSomethingBelowTheRoot) {
  const auto patterns = patterns_below("");
  for (const Rule& rule : rules()) {
    EXPECT_TRUE(std::ranges::any_of(patterns, [&](const PathPattern& p) { return p.rule == &rule; }))
        << rule.pattern;
    EXPECT_FALSE(rule.kind.empty() || rule.reason.empty()) << rule.pattern;
  }
  for (const PathPattern& pattern : patterns) {
    for (std::size_t i = 0; i < pattern.names.size(); ++i) {
      EXPECT_FALSE(pattern.names[i].empty()) << pattern.rule->pattern;
      EXPECT_TRUE(pattern.names[i] != "**" || i + 1 == pattern.names.size()) << pattern.rule->pattern;
    }
  }
}

TEST(Rules, PatternsOfAFileSystemThatIsMountedDeeper) {
  const auto has = [](const std::vector<PathPattern>& patterns, const std::vector<std::string>& names) {
    return std::ranges::any_of(patterns, [&](const PathPattern& p) { return p.names == names; });
  };
  const auto home = patterns_below("/home");
  EXPECT_TRUE(has(home, {"*", ".ssh", "authorized_keys*"}));
  EXPECT_TRUE(has(home, {"**"}));
  EXPECT_FALSE(has(home, {"etc", "machine-id"}));
  EXPECT_TRUE(has(patterns_below("/var/log"), {"**"}));
  EXPECT_TRUE(has(patterns_below(""), {"etc", "machine-id"}));
}

TEST(Rules, NamesOfGuestsSteerNoTerminal) {
  EXPECT_EQ(printable("/home/a b"), "/home/a b");
  EXPECT_EQ(printable(std::string("\x1b[2J\n\\\xff\0", 8)), "\\x1b[2J\\x0a\\x5c\\xff\\x00");
}

}  // namespace
}  // namespace ashlar
