// Shows that the program has advice for every kind of error that the engine names.
#include "program/hints.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace ashlar {
namespace {

TEST(Hints, EveryKindHasAdvice) {
  for (unsigned i = 0; i <= static_cast<unsigned>(ErrorKind::kRecordDamaged); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    const std::string hint = hint_of(invalid("x").about(kind, "vol-1"));
    EXPECT_EQ(hint.empty(), kind == ErrorKind::kNone) << error_kind_name(kind);
    EXPECT_FALSE(hint.ends_with('.')) << "it is the end of a sentence that goes on: " << hint;
  }
}

TEST(Hints, AnErrorWithoutAKindHasNone) { EXPECT_EQ(hint_of(busy("x")), ""); }

TEST(Hints, AFullFileSystemHasOne) {
  EXPECT_NE(hint_of(Error::from_errno(ENOSPC, "append").with_context("capture")), "");
  EXPECT_EQ(hint_of(Error::from_errno(EIO, "append")), "");
}

TEST(Hints, ASnapshotInTheBinIsRestored) {
  const Error error = busy("x").about(ErrorKind::kNoSuchSnapshot, "snap-7");
  EXPECT_EQ(hint_of(error), "run 'ashlar bin restore snap-7' first");
}

TEST(Hints, TheThingIsNamed) {
  EXPECT_NE(hint_of(busy("x").about(ErrorKind::kVolumeAttached, "vol-7")).find("vol-7"), std::string::npos);
  EXPECT_NE(hint_of(busy("x").about(ErrorKind::kTemplateExists, "web")).find("web"), std::string::npos);
}

TEST(Hints, ADamagedRecordIsVerifiedPutBackOrGivenUp) {
  const std::string hint = hint_of(corrupt("x").about(ErrorKind::kRecordDamaged, "snap-7"));
  for (const char* part : {"ashlar verify --all", "copy", "ashlar store discard snap-7 --yes"}) {
    EXPECT_NE(hint.find(part), std::string::npos) << hint;
  }
}

TEST(Hints, ARestoreThatFailsOnDamageNamesTheWayAroundIt) {
  const std::string hint = hint_of(corrupt("x").about(ErrorKind::kSnapshotHasLosses, "snap-7"));
  EXPECT_NE(hint.find("ashlar restore snap-7 TARGET --skip-damaged"), std::string::npos) << hint;
}

}  // namespace
}  // namespace ashlar
