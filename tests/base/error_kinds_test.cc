// Shows that the names of error codes and kinds lead back to them, and that an error keeps what it is about.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/result.h"

namespace ashlar {
namespace {

TEST(ErrorNames, OfCodesLeadBack) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i <= static_cast<unsigned>(ErrorCode::kCancelled); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_FALSE(error_code_name(code).empty());
    EXPECT_EQ(error_code_named(error_code_name(code)), code);
    EXPECT_TRUE(names.insert(error_code_name(code)).second);
  }
  EXPECT_EQ(error_code_named("no such code"), ErrorCode::kIo);
}

TEST(ErrorNames, OfKindsLeadBack) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i <= static_cast<unsigned>(ErrorKind::kRecordDamaged); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    EXPECT_EQ(error_kind_name(kind).empty(), kind == ErrorKind::kNone);
    EXPECT_EQ(error_kind_named(error_kind_name(kind)), kind);
    EXPECT_TRUE(names.insert(error_kind_name(kind)).second);
  }
  EXPECT_EQ(error_kind_named("no such kind"), ErrorKind::kNone);
  EXPECT_EQ(error_kind_name(ErrorKind::kNoSuchKey), "no_such_key");
  EXPECT_EQ(error_kind_name(ErrorKind::kTargetExists), "target_exists");
}

TEST(ErrorNames, AnErrorStaysAboutItsThing) {
  const Error error = busy("a is in use").about(ErrorKind::kVolumeServed, "vol-a").with_context("detach");
  EXPECT_EQ(error.text(), "detach: a is in use");
  EXPECT_EQ(error.kind(), ErrorKind::kVolumeServed);
  EXPECT_EQ(error.with_text("other words").id(), "vol-a");
  EXPECT_EQ(error.with_text("other words").code(), ErrorCode::kBusy);
}

}  // namespace
}  // namespace ashlar
