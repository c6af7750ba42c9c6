// Tests of the scrub's state as an object: two scrubs that note at once lose nothing of each other.
#include "catalog/scrubs.h"

#include <utility>

#include "catalog/records.h"

namespace ashlar {
namespace {

TEST(ScrubStates, TwoScrubsKeepTheLaterTimeOfEach) {
  SimulatedFileSystem files;
  make_root(files);
  LocalObjectStore objects(files, kRoot);
  ScrubCatalog one(objects, StoreId{});
  ScrubCatalog other(objects, StoreId{});
  EXPECT_EQ(one.state().take().revision, 0U);
  bool is_first = true;
  const auto noted = one.note([&](ScrubState& state) {
    if (std::exchange(is_first, false)) {  // the other one is faster
      const auto theirs = other.note([](ScrubState& faster) {
        faster.checked[7] = UtcTime{700};
        faster.checked[8] = UtcTime{800};
      });
      EXPECT_TRUE(theirs.ok());
    }
    state.checked[8] = UtcTime{500};
    state.checked[9] = UtcTime{900};
  });
  ASSERT_TRUE(noted.ok());
  const ScrubState stored = one.state().take();
  EXPECT_EQ(stored, noted.value());
  EXPECT_EQ(stored.revision, 2U);
  EXPECT_EQ(stored.checked[7], UtcTime{700});
  EXPECT_EQ(stored.checked[8], UtcTime{800}) << "the later one";
  EXPECT_EQ(stored.checked[9], UtcTime{900});
}

}  // namespace
}  // namespace ashlar
