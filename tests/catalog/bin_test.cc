#include "catalog/bin.h"

#include "catalog/records.h"

namespace ashlar {
namespace {

class Bin : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotBin bin_{objects_};
};

TEST_F(Bin, KeepsRecordsAsTheyWere) {
  ASSERT_TRUE(bin_.put(sample_record(2), UtcTime{10}).ok());
  ASSERT_TRUE(bin_.put(sample_record(1), UtcTime{20}).ok());
  const BinEntry two{sample_record(2).id, UtcTime{10}};
  const BinEntry one{sample_record(1).id, UtcTime{20}};
  EXPECT_EQ(bin_.list().take(), (std::vector{two, one}));
  EXPECT_EQ(bin_.get(bin_.find(one.snapshot).take()).take(), sample_record(1));
  EXPECT_TRUE(bin_.has(one).take());
  ASSERT_TRUE(bin_.remove(one).ok());
  ASSERT_TRUE(bin_.remove(one).ok());
  EXPECT_FALSE(bin_.has(one).take());
  EXPECT_EQ(bin_.list().take(), (std::vector{two}));
  EXPECT_EQ(bin_.find(one.snapshot).error().text(), "no snapshot snap-00000000000001001 in the bin");
}

TEST_F(Bin, OfSeveralDeletionsOfASnapshotTheLastCounts) {
  for (const std::uint64_t when : {30, 10, 20}) ASSERT_TRUE(bin_.put(sample_record(1), UtcTime{when}).ok());
  EXPECT_EQ(bin_.list().take(), (std::vector{BinEntry{sample_record(1).id, UtcTime{30}}}));
  EXPECT_EQ(bin_.all().take().size(), 3U);
  ASSERT_TRUE(bin_.remove({sample_record(1).id, UtcTime{30}}).ok());
  EXPECT_EQ(bin_.list().take(), (std::vector{BinEntry{sample_record(1).id, UtcTime{20}}}));
}

TEST_F(Bin, StrangeObjectsAreNotTouched) {
  for (const char* key : {"bin/notes", "bin/snap-00000000000001001", "bin/snap-00000000000001001.x",
                          "bin/snap-00000000000001001.1x", "bin/snap-1.5"}) {
    ASSERT_TRUE(objects_.put_if_absent(key, as_byte_span("x")).ok());
  }
  EXPECT_TRUE(bin_.list().take().empty());
  EXPECT_TRUE(bin_.all().take().empty());
}

TEST_F(Bin, ADamagedEntryIsNamed) {
  ASSERT_TRUE(bin_.put(sample_record(1), UtcTime{10}).ok());
  overwrite(objects_, "bin/snap-00000000000001001.10", as_byte_span("rotten"));
  const auto got = bin_.get(bin_.find(sample_record(1).id).take());
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(got.error().text().find("bin/snap-00000000000001001.10"), std::string::npos);
}

}  // namespace
}  // namespace ashlar
