// Rot of every kind, in every file of a store: verify finds each, no capture is born damaged, no verb is
// stopped by damage of what it does not need, and all of it comes back from a copy of the store.
#include <algorithm>
#include <map>

#include "catalog/images.h"
#include "catalog/launch_templates.h"
#include "catalog/lifecycle_policies.h"
#include "catalog/volumes.h"
#include "collect/collect.h"
#include "flow/world.h"
#include "image/deletion.h"
#include "image/register.h"
#include "repair/repair.h"
#include "support/battery.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

constexpr BatteryRounds kRotRounds{2000, 150, 100'000};
constexpr std::uint64_t kMebi = 1 << 20;
constexpr std::uint64_t kRepairedRound = 4;  // one of so many rounds ends with a repair

class Rot : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    Prng prng(7);
    for (int i = 0; i < 6; ++i) image_.edit(prng);
    for (int i = 0; i < 3; ++i) other_.edit(prng);
    models_.push_back(image_.model());
    first_ = captured(image_, {});
    image_.write(kMebi, noise(prng, 100'000));
    models_.push_back(image_.model());
    second_ = captured(image_, first_);
    models_.back() = image_.model();
    image_.write(2 * kMebi, noise(prng, 100'000));
    const SnapshotRecord deleted = captured(image_, second_);
    ASSERT_OK(delete_snapshot(world_.repo().objects(), deleted.id));
    put_records();
    ASSERT_OK(world_.open());
    for (const auto& entry : fs::recursive_directory_iterator(store_)) {
      const std::string key = entry.path().string().substr(store_.size() + 1);
      const bool is_object = !key.starts_with("host/") && !key.starts_with("incoming/") && key != "reserve";
      if (entry.is_regular_file() && is_object) keys_.push_back(key);
    }
    std::ranges::sort(keys_);
    fs::copy(store_, copy_path_, fs::copy_options::recursive);
    ASSERT_OK(copy_.open());
  }

  void put_records() {
    ObjectStore& objects = world_.repo().objects();
    ImageRecord image;
    image.owner = AccountId{1};
    image.name = "web";
    image.root_device = "/dev/sda";
    image.devices.resize(1);
    image.devices[0].name = "/dev/sda";
    image.devices[0].content.snapshot = first_.id;
    ImageCatalog images(objects);
    ASSERT_OK(register_image(images, world_.repo().snapshots(), image));
    VolumeRecord volume;
    volume.id = VolumeId{7};
    volume.store = world_.repo().config().id;
    volume.size = second_.size;
    volume.base = second_.id;
    ASSERT_OK(VolumeCatalog(objects).publish(volume));
  }

  static ByteVector noise(Prng& prng, std::size_t bytes) {
    ByteVector out(bytes);
    prng.fill(out);
    return out;
  }
  SnapshotRecord captured(const Image& image, const std::optional<SnapshotRecord>& parent) {
    CaptureOptions options;
    options.parent = parent;
    options.threads = 1;
    auto report = world_.capture_file(image.path(), options);
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }
  std::string path(const std::string& key) const { return store_ + "/" + key; }
  void put(const std::string& key, ByteSpan bytes) {
    std::ofstream out(path(key), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // Returns what rot made of an object's bytes; nothing for an object that is gone.
  std::optional<ByteVector> rotten(ByteVector bytes, Prng& prng, std::string& what) {
    const std::uint64_t kind = prng.below(10);
    const std::size_t at = bytes.empty() ? 0 : prng.below(bytes.size());
    if (kind < 5) {
      what = "bit of byte " + std::to_string(at);
      bytes[at] ^= static_cast<std::byte>(1U << prng.below(8));
    } else if (kind == 5) {
      what = "cut at " + std::to_string(at);
      bytes.resize(at);
    } else if (kind == 6) {
      what = "a sector of zeros from " + std::to_string(at);
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<std::size_t>(512, bytes.size() - at), std::byte{0});
    } else if (kind == 7) {
      what = "empty";
      bytes.clear();
    } else if (kind == 8) {
      const std::string& from = keys_[prng.below(keys_.size())];
      what = "the bytes of " + from;
      bytes = file_bytes(path(from));
    } else {
      what = "gone";
      return std::nullopt;
    }
    return bytes;
  }

  // A snapshot that nothing names, and a name that an image claims, can't be missed.
  bool can_be_missed(const std::string& key) const {
    if (key.starts_with("snapshots/"))
      return key == SnapshotCatalog::key_of(first_.id) || key == SnapshotCatalog::key_of(second_.id);
    return key.starts_with("packs/") || key.starts_with("meta/") || key.starts_with("image-names/") ||
           key == "settings.json" || key == "ashlar.json";
  }

  // Rot is damage, also where it hit a version, a hash or an encryption.
  void expect_found(BatteryTally& tally) {
    const auto report = world_.verify();
    ASSERT_OK(report);
    tally.expect(!report.value().damages.empty(), tally.undetected, "verify finds nothing");
    for (const Damage& damage : report.value().damages) EXPECT_FALSE(damage.is_unread) << damage.what;
  }
  // Captures, lists, deletes and purges beside the damage that verify has named: in this process, or in
  // another one.
  void expect_life_goes_on(bool is_other_process) {
    if (is_other_process) {
      ASSERT_OK(world_.open());
    }
    std::vector<std::string> unread;
    ASSERT_OK(world_.repo().snapshots().list(unread));
    const SnapshotRecord fresh = captured(other_, {});
    expect_sound(fresh);
    std::optional<SnapshotRecord> parent;
    if (const auto second = world_.repo().snapshots().get(second_.id); second.ok()) parent = second.value();
    const SnapshotRecord again = captured_or_without(parent);
    expect_sound(again);
    expect_restores(again);
    ASSERT_OK(delete_snapshot(world_.repo().objects(), fresh.id));
    ASSERT_OK(purge_bin(world_.repo().objects(), UtcTime{1}));
  }
  // A parent whose tree can't be read is left aside, as `capture` does by itself.
  SnapshotRecord captured_or_without(const std::optional<SnapshotRecord>& parent) {
    CaptureOptions options;
    options.parent = parent;
    options.threads = 1;
    auto report = world_.capture_file(image_.path(), options);
    if (is(report, ErrorCode::kCorrupt)) return captured(image_, {});
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }
  void expect_sound(const SnapshotRecord& record) {
    VerifyProgress progress;
    const auto report = verify_snapshot(world_.repo().verify_parts().take(), record.id, progress, {});
    ASSERT_OK(report);
    // Damage in one pack is not a loss while another pack has the same.
    for (const Damage& damage : report.value().damages)
      EXPECT_TRUE(damage.losses.empty()) << "born damaged: " << damage.object << ": " << damage.what;
  }
  void expect_restores(const SnapshotRecord& record) { expect_restores(record, image_.model()); }
  void expect_restores(const SnapshotRecord& record, const std::vector<std::byte>& model) {
    const std::string out = directory_ / "out";
    fs::remove(out);
    ASSERT_OK(world_.restore_to(record, out));
    EXPECT_TRUE(file_bytes(out) == model);
  }

  // With the copy nothing is lost, and nothing damaged is left after two collections.
  void expect_repaired(const std::string& key) {
    // Other records than those of snapshots are put back by hand.
    const bool is_healed = key.starts_with("packs/") || key.starts_with("meta/") ||
                           key.starts_with("snapshots/") ||
                           (key.starts_with("image-names/") && !fs::exists(path(key)));
    if (!is_healed) fs::copy_file(copy_path_ + "/" + key, path(key), fs::copy_options::overwrite_existing);
    ASSERT_OK(world_.open());
    const VerifyParts from = copy_.repo().verify_parts().take();
    RepairSources sources;
    sources.stores.push_back({from.objects, from.index, *copy_.repo().segments().take(), true});
    RepairProgress progress;
    const auto repaired = repair(world_.repo().write_parts().take(), sources, progress, {});
    ASSERT_OK(repaired);
    EXPECT_EQ(repaired.value().lost_blocks + repaired.value().lost_nodes, 0U);
    for (int i = 0; i < 2; ++i) {
      const VerifyParts parts = world_.repo().verify_parts().take();
      CollectProgress collected;
      ASSERT_OK(collect({parts.config, parts.objects, parts.index, parts.damage}, {}, collected, {}));
    }
    ASSERT_OK(world_.open());
    const auto left = world_.verify();
    ASSERT_OK(left);
    for (const Damage& damage : left.value().damages) ADD_FAILURE() << damage.object << ": " << damage.what;
    expect_restores(world_.repo().snapshots().get(first_.id).take(), models_[0]);
    expect_restores(world_.repo().snapshots().get(second_.id).take(), models_[1]);
  }
  // Makes the store what it was before the round.
  void put_all_back() {
    for (const std::string& key : keys_) {
      if (!fs::exists(path(key))) fs::create_directories(fs::path(path(key)).parent_path());
      if (!fs::exists(path(key)) || file_bytes(path(key)) != file_bytes(copy_path_ + "/" + key))
        fs::copy_file(copy_path_ + "/" + key, path(key), fs::copy_options::overwrite_existing);
    }
  }
  // Removes what the round has added.
  void sweep() {
    for (const auto& entry : fs::recursive_directory_iterator(store_)) {
      const std::string key = entry.path().string().substr(store_.size() + 1);
      const bool is_object = !key.starts_with("host/") && !key.starts_with("incoming/") && key != "reserve";
      if (entry.is_regular_file() && is_object && !std::ranges::binary_search(keys_, key))
        fs::remove(entry.path());
    }
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_ / "store";
  std::string copy_path_ = directory_ / "copy";
  World world_{posix_file_system(), store_, {{}, {}, true}};
  World copy_{posix_file_system(), copy_path_, {{}, {}, true}};
  std::vector<std::vector<std::byte>> models_;  // of the two snapshots
  Image image_{directory_ / "image", 3 * kMebi};
  Image other_{directory_ / "other", kMebi};
  SnapshotRecord first_;
  SnapshotRecord second_;
  std::vector<std::string> keys_;
};

TEST_F(Rot, IsFoundAndStopsNothingElse) {
  Battery battery("rot", kRotRounds);
  Prng prng(battery.seed());
  for (std::uint64_t round = 0; round < battery.rounds(); ++round) {
    const std::string key = keys_[prng.below(keys_.size())];
    const ByteVector sound = file_bytes(path(key));
    std::string what;
    const auto bytes = rotten(sound, prng, what);
    // A JSON text means the same without the line's end.
    if (bytes && sound.back() == std::byte{'\n'} &&
        bytes_equal(*bytes, ByteSpan(sound).first(sound.size() - 1)))
      continue;
    if (bytes == sound || (!bytes && !can_be_missed(key))) continue;
    const std::string where = fmt::format("seed {}, round {}, {}: {}", battery.seed(), round, key, what);
    SCOPED_TRACE(where);
    ++battery.tally.points;
    bytes ? put(key, *bytes) : static_cast<void>(fs::remove(path(key)));
    const Status opened = world_.open();
    if (opened.ok()) {
      expect_found(battery.tally);
      expect_life_goes_on(prng.below(2) == 0);
      if (round % kRepairedRound == 0) expect_repaired(key);
      battery.tally.acked += 2;  // captures beside the damage
    } else {
      EXPECT_EQ(key, "ashlar.json");
    }
    sweep();
    put_all_back();
    if (battery.tally.faults() == 0 && !HasFailure()) continue;
    battery.tally.notes.push_back(where);
    return battery.finish();
  }
  battery.finish();
  ASSERT_OK(world_.open());
  const auto report = world_.verify();
  ASSERT_OK(report);
  EXPECT_TRUE(report.value().damages.empty());
}

}  // namespace
}  // namespace ashlar
