#include "base/interrupted.h"

#include <gtest/gtest.h>

namespace ashlar {
namespace {

// A call that is interrupted a few times, and then returns `result` with `error_number`.
struct Call {
  int interruptions;
  int result;
  int error_number;
  int made = 0;

  int operator()() {
    if (made++ < interruptions) {
      errno = EINTR;
      return -1;
    }
    errno = error_number;
    return result;
  }
};

TEST(Interrupted, ACallIsMadeAgainUntilItIsNotInterrupted) {
  Call call{3, 7, 0};
  EXPECT_EQ(uninterrupted([&] { return call(); }), 7);
  EXPECT_EQ(call.made, 4);
}

TEST(Interrupted, AFailureIsNotRepeated) {
  Call call{1, -1, EIO};
  EXPECT_EQ(uninterrupted([&] { return call(); }), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(call.made, 2);
}

TEST(Interrupted, ASuccessIsNotRepeatedWhateverErrnoSays) {
  Call call{0, 0, EINTR};
  EXPECT_EQ(uninterrupted([&] { return call(); }), 0);
  EXPECT_EQ(call.made, 1);
}

}  // namespace
}  // namespace ashlar
