#include "catalog/snapshots.h"

#include "base/random.h"
#include "catalog/records.h"

namespace ashlar {
namespace {

class Snapshots : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }
  std::string key(SnapshotId id) const { return "snapshots/" + id.text(); }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog catalog_{objects_};
};

TEST_F(Snapshots, ArePublishedFoundListedAndRemoved) {
  EXPECT_TRUE(catalog_.list().take().empty());
  for (const std::uint64_t number : {3, 1, 2}) ASSERT_TRUE(catalog_.publish(sample_record(number)).ok());
  EXPECT_EQ(catalog_.get(sample_record(2).id).take(), sample_record(2));
  EXPECT_EQ(catalog_.list().take(), (std::vector{sample_record(1), sample_record(2), sample_record(3)}));
  ASSERT_TRUE(catalog_.remove(sample_record(2).id).ok());
  EXPECT_EQ(catalog_.list().take(), (std::vector{sample_record(1), sample_record(3)}));
}

TEST_F(Snapshots, AnUnknownIdSaysWhereToLook) {
  const SnapshotId id{0xabc};
  const std::string text = "no snapshot snap-00000000000000abc in this store";
  const auto missing = catalog_.get(id);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().text(), text);
  const auto removed = catalog_.remove(id);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(removed.error().text(), text);
}

TEST_F(Snapshots, ATakenIdIsNeverReplaced) {
  ASSERT_TRUE(catalog_.publish(sample_record(1)).ok());
  SnapshotRecord other = sample_record(1);
  other.name = "another";
  EXPECT_EQ(catalog_.publish(other).error().code(), ErrorCode::kBusy);
  EXPECT_EQ(catalog_.get(other.id).take().name, "sample 1");
}

TEST_F(Snapshots, ARecordThatMakesNoSenseIsNotPublished) {
  SnapshotRecord lost_blocks = sample_record(1);
  lost_blocks.unallocated_blocks = BlockCount{9};
  SnapshotRecord long_name = sample_record(2);
  long_name.name.assign(kMaxTextBytes + 1, 'x');
  SnapshotRecord nobody = sample_record(3);
  nobody.id.value = 0;
  for (const SnapshotRecord& record : {lost_blocks, long_name, nobody})
    EXPECT_FALSE(catalog_.publish(record).ok());
  EXPECT_TRUE(catalog_.list_ids().take().empty());
}

TEST_F(Snapshots, ADamagedRecordIsNamedAndTheOthersStayReachable) {
  for (const std::uint64_t number : {1, 2}) ASSERT_TRUE(catalog_.publish(sample_record(number)).ok());
  ByteVector bytes = encode(sample_record(1));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{4};
    overwrite(objects_, key(sample_record(1).id), bytes);
    const auto listed = catalog_.list();
    ASSERT_FALSE(listed.ok()) << "byte " << at;
    EXPECT_NE(listed.error().text().find(sample_record(1).id.text()), std::string::npos)
        << listed.error().text();
    EXPECT_FALSE(catalog_.get(sample_record(1).id).ok());
    bytes[at] ^= std::byte{4};
  }
  EXPECT_EQ(catalog_.list_ids().take().size(), 2U);
  EXPECT_TRUE(catalog_.get(sample_record(2).id).ok());
}

TEST_F(Snapshots, ARecordUnderAnotherKeyIsCorrupt) {
  overwrite(objects_, key(sample_record(1).id), encode(sample_record(2)));
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Snapshots, AnOversizedOrEmptyRecordIsCorrupt) {
  overwrite(objects_, key(sample_record(1).id), ByteVector(kMaxSnapshotRecordBytes + 1));
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
  overwrite(objects_, key(sample_record(1).id), {});
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Snapshots, NamesThatAreNoSnapshotIdsAreLeftAlone) {
  ASSERT_TRUE(catalog_.publish(sample_record(1)).ok());
  overwrite(objects_, "snapshots/README", as_byte_span("not ours"));
  EXPECT_EQ(catalog_.list().take().size(), 1U);
  EXPECT_TRUE(objects_.stat("snapshots/README").ok());
}

TEST_F(Snapshots, TheNewestOfASourceIsFoundPastADamagedRecord) {
  SourceIdentity disk;
  disk.bytes[0] = std::byte{7};
  EXPECT_FALSE(catalog_.newest_of(disk).take().has_value());
  for (const std::uint64_t number : {5, 9, 2, 7}) {
    SnapshotRecord record = sample_record(number);
    if (number != 9) record.source_identity = disk;
    ASSERT_TRUE(catalog_.publish(record).ok());
  }
  EXPECT_EQ(catalog_.newest_of(disk).take()->id, sample_record(7).id);
  overwrite(objects_, key(sample_record(7).id), as_byte_span("garbage"));
  EXPECT_EQ(catalog_.newest_of(disk).take()->id, sample_record(5).id);
}

// When the power is lost before any operation of a publication, the record is whole or absent afterwards, and
// it is there if publish() has returned success.
TEST(SnapshotCrash, ARecordIsWholeOrAbsent) {
  const auto publish = [](SimulatedFileSystem& files) {
    LocalObjectStore objects(files, kRoot);
    return SnapshotCatalog(objects).publish(sample_record(2)).ok();
  };
  const auto prepare = [](SimulatedFileSystem& files) {
    make_root(files);
    LocalObjectStore objects(files, kRoot);
    ASSERT_TRUE(SnapshotCatalog(objects).publish(sample_record(1)).ok());
  };
  SimulatedFileSystem rehearsal;
  prepare(rehearsal);
  const std::uint64_t first = rehearsal.operations();
  ASSERT_TRUE(publish(rehearsal));
  const std::uint64_t last = rehearsal.operations();

  bool seen_absent = false;
  bool seen_whole = false;
  for (std::uint64_t stop = first; stop <= last; ++stop) {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      SCOPED_TRACE(testing::Message() << "stopped at operation " << stop << ", crash seed " << seed);
      SimulatedFileSystem files;
      prepare(files);
      files.stop_at(stop);
      const bool promised = publish(files);
      files.crash(seed);

      LocalObjectStore objects(files, kRoot);
      SnapshotCatalog catalog(objects);
      const auto records = catalog.list().take();
      const bool there = records.size() == 2;
      seen_absent |= !there;
      seen_whole |= there;
      EXPECT_TRUE(there || !promised);
      EXPECT_EQ(records.front(), sample_record(1));
      if (there) {
        EXPECT_EQ(records.back(), sample_record(2));
      } else {
        EXPECT_TRUE(catalog.publish(sample_record(2)).ok()) << "the id must be free again";
      }
    }
  }
  EXPECT_TRUE(seen_absent && seen_whole);
}

TEST(SnapshotCrash, ADeletionIsDoneOrNotBegun) {
  for (std::uint64_t stop = 0; stop < 40; ++stop) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      SimulatedFileSystem files;
      make_root(files);
      {
        LocalObjectStore objects(files, kRoot);
        ASSERT_TRUE(SnapshotCatalog(objects).publish(sample_record(1)).ok());
        files.stop_at(files.operations() + stop);
        const bool promised = SnapshotCatalog(objects).remove(sample_record(1).id).ok();
        files.crash(seed);
        LocalObjectStore after(files, kRoot);
        const auto records = SnapshotCatalog(after).list().take();
        EXPECT_TRUE(records.empty() || !promised);
        for (const SnapshotRecord& record : records) EXPECT_EQ(record, sample_record(1));
      }
    }
  }
}

TEST(SnapshotCrash, AFullDiskPublishesNothingAndKeepsWhatWasThere) {
  SimulatedFileSystem files;
  make_root(files);
  LocalObjectStore objects(files, kRoot);
  SnapshotCatalog catalog(objects);
  for (const std::uint64_t number : {1, 3}) ASSERT_TRUE(catalog.publish(sample_record(number)).ok());
  ASSERT_TRUE(catalog.remove(sample_record(3).id).ok());
  files.set_full(true);
  EXPECT_EQ(catalog.publish(sample_record(2)).error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(catalog.list().take().size(), 1U);
  EXPECT_TRUE(catalog.remove(sample_record(1).id).ok()) << "deleting must work on a full disk";
}

}  // namespace
}  // namespace ashlar
