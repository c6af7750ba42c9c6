// Tests of the check of records: each kind of small object is read, and what it needs is looked for.
#include "scrub/record_check.h"

#include <gmock/gmock.h>

#include "catalog/records.h"
#include "catalog/settings.h"
#include "catalog/volumes.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

class RecordCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    make_root(files_);
    ASSERT_TRUE(put_first_settings(objects_).ok());
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
    VolumeRecord volume;
    volume.id = VolumeId{7};
    volume.size = ByteCount{4096};
    volume.base = sample_record(1).id;
    ASSERT_TRUE(VolumeCatalog(objects_).publish(volume).ok());
    ASSERT_TRUE(update_settings(objects_, [](StoreSettings& settings) -> Status {
                  settings.bin_days = 3;
                  return {};
                }).ok());
  }
  std::vector<std::string> objects_at_fault() {
    std::vector<std::string> objects;
    for (const RecordFault& fault : check_records(objects_).take()) {
      EXPECT_FALSE(fault.is_unread) << fault.what;
      objects.push_back(fault.object);
    }
    return objects;
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog snapshots_{objects_};
};

TEST_F(RecordCheckTest, SoundRecordsHaveNoFault) { EXPECT_TRUE(objects_at_fault().empty()); }

TEST_F(RecordCheckTest, EachDamagedObjectIsNamed) {
  const std::vector<std::string> keys = {"settings.json", "volumes/" + VolumeId{7}.text()};
  for (const std::string& key : keys) {
    const ByteVector sound = get_object(objects_, key, 1 << 20).take();
    for (const std::size_t at : {std::size_t{0}, sound.size() / 2, sound.size() - 1}) {
      ByteVector bytes = sound;
      bytes[at] ^= std::byte{1};
      overwrite(objects_, key, bytes);
      EXPECT_EQ(objects_at_fault(), std::vector{key}) << at;
    }
    overwrite(objects_, key, sound);
  }
  for (const char* key : {"images/ami-00000000000000007", "launch-templates/lt-00000000000000007",
                          "lifecycle-policies/policy-00000000000000007", "image-names/000000000001-00"}) {
    ASSERT_TRUE(objects_.put_if_absent(key, as_byte_span("{}")).ok());
    EXPECT_THAT(objects_at_fault(), testing::ElementsAre(key));
    ASSERT_TRUE(objects_.remove(key).ok());
  }
}

TEST_F(RecordCheckTest, SettingsThatAreGoneAreDamage) {
  ASSERT_TRUE(objects_.remove("settings.json").ok());
  EXPECT_THAT(objects_at_fault(), testing::ElementsAre("settings.json"));
}

TEST_F(RecordCheckTest, ASnapshotThatAVolumeNeedsIsLookedFor) {
  ASSERT_TRUE(remove_snapshot(objects_, sample_record(1).id).ok());
  const std::vector<RecordFault> faults = check_records(objects_).take();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].object, "volumes/" + VolumeId{7}.text());
  EXPECT_NE(faults[0].what.find(sample_record(1).id.text()), std::string::npos);
}

TEST_F(RecordCheckTest, ARecordThatCanNotBeReadIsNotCalledDamaged) {
  for (const std::string folder : {"volumes/", "settings.json"}) {
    for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kExhausted, ErrorCode::kBusy,
                                 ErrorCode::kUnsupported, ErrorCode::kCancelled, ErrorCode::kCorrupt}) {
      SCOPED_TRACE(folder + " " + std::string(error_code_name(code)));
      UnreadableFolder objects(objects_, folder, code);
      const std::vector<RecordFault> faults = check_records(objects).take();
      ASSERT_EQ(faults.size(), 1U);
      EXPECT_EQ(faults[0].is_unread, code != ErrorCode::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace ashlar
