// Tests which error is returned when something is in none of several places.
#include "store/place_errors.h"

#include <gtest/gtest.h>

namespace ashlar {
namespace {

TEST(PlaceErrors, ADoubtOutweighsADiskThatFailsAndThatOutweighsALoss) {
  PlaceErrors errors;
  EXPECT_FALSE(errors.any());
  errors.note(corrupt("wrong bytes"));
  EXPECT_FALSE(errors.has_doubt());
  EXPECT_EQ(errors.decisive().code(), ErrorCode::kCorrupt);
  errors.note(Error::from_errno(EIO, "read"));
  EXPECT_TRUE(errors.has_doubt());
  EXPECT_EQ(errors.decisive().error_number(), EIO);
  errors.note(Error::from_errno(EMFILE, "open"));
  EXPECT_EQ(errors.decisive().error_number(), EMFILE) << "that place may be sound";
  errors.note(Error::from_errno(EIO, "read"));
  EXPECT_EQ(errors.decisive().error_number(), EMFILE);
}

}  // namespace
}  // namespace ashlar
