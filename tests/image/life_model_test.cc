// Tests of the whole life of images and snapshots against a plain model, with processes that die between any
// two operations.
#include "base/random.h"
#include "catalog/records.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

enum class Where { kThere, kBin, kGone };

// The state of the store as its user knows it: everything that was acknowledged.
struct Model {
  std::map<SnapshotId, Where> snapshots;
  std::map<ImageId, ImageRecord> images;  // deregistered ones too
};

// Returns whether a purge of the image was cut off; the next purge takes it.
bool is_half_purged(const ImageRecord& image) { return image.state == ImageState::kPurged; }

bool holds_name(const ImageRecord& image) {
  return image.state == ImageState::kAvailable || image.state == ImageState::kDisabled;
}

class Life : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }

  // Checks that everything acknowledged is as it should be, and that the store is consistent.
  void check(const Model& model) {
    const auto images = ImageCatalog(objects_).list();
    ASSERT_TRUE(images.ok()) << images.error().text();
    std::map<ImageId, ImageRecord> there;
    std::set<std::pair<AccountId, std::string>> names;
    for (const ImageRecord& image : images.value()) {
      there.emplace(image.id, image);
      if (!holds_name(image)) continue;
      EXPECT_TRUE(names.emplace(image.owner, image.name).second) << image.name << " twice";
      for (const SnapshotId id : snapshots_of(image))
        EXPECT_TRUE(SnapshotCatalog(objects_).get(id).ok()) << image.id.text() << " lacks " << id.text();
    }
    EXPECT_EQ(there, model.images);
    for (const auto& [id, where] : model.snapshots) {
      EXPECT_EQ(SnapshotCatalog(objects_).get(id).ok(), where == Where::kThere) << id.text();
      if (where != Where::kThere) {
        EXPECT_EQ(SnapshotCatalog(objects_).find_in_bin(id).ok(), where == Where::kBin) << id.text();
      }
    }
  }

  // Makes the store's state after a death the state of the model. Each part has to be as before the step that
  // was cut off, or as after it (`done`).
  void recover(Model& model, const Model& done) {
    SnapshotCatalog snapshots(objects_);
    for (auto& [id, where] : model.snapshots) {
      const Where now = snapshots.get(id).ok()           ? Where::kThere
                        : snapshots.find_in_bin(id).ok() ? Where::kBin
                                                         : Where::kGone;
      EXPECT_TRUE(now == where || now == done.snapshots.at(id)) << id.text();
      where = now;
    }
    std::map<ImageId, ImageRecord> now;
    for (const ImageRecord& image : ImageCatalog(objects_).list().take()) {
      const auto before = model.images.find(image.id);
      const auto after = done.images.find(image.id);
      const bool was = before != model.images.end() && before->second == image;
      const bool is = after != done.images.end() && after->second == image;
      const bool is_new = before == model.images.end();  // the model could not know its id
      EXPECT_TRUE(was || is || is_new || is_half_purged(image)) << image.id.text();
      now.emplace(image.id, image);
    }
    for (const auto& [id, image] : model.images)
      EXPECT_TRUE(now.contains(id) || !done.images.contains(id)) << id.text() << " is lost";
    model.images = std::move(now);
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
};

template <class Map>
auto any_of(const Map& map, Prng& prng) {
  auto at = map.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(prng.below(map.size())));
  return at;
}

ImageRecord wish(const Model& model, Prng& prng) {
  ImageRecord image;
  image.owner = AccountId{1 + prng.below(2)};
  image.name = "image-" + std::to_string(prng.below(4));
  image.root_device = "/dev/sda";
  for (const char* name : {"/dev/sda", "/dev/sdb"}) {
    ImageDevice& device = image.devices.emplace_back();
    device.name = name;
    device.content.snapshot = any_of(model.snapshots, prng)->first;
  }
  return image;
}

// Does one step of a process that may die in it. Returns the model after the step, or nullopt when the step
// was refused.
std::optional<Model> step(ObjectStore& objects, const Model& model, Prng& prng, std::uint64_t clock) {
  Model done = model;
  ImageCatalog images(objects);
  const std::uint64_t action = prng.below(9);
  if (action == 0 || model.images.empty()) {
    const auto made = register_image(images, SnapshotCatalog(objects), wish(model, prng));
    if (!made.ok()) return std::nullopt;
    done.images.emplace(made.value().id, made.value());
    return done;
  }
  const auto image = any_of(model.images, prng);
  const auto snapshot = any_of(model.snapshots, prng)->first;
  const auto change = [&](const std::function<Status(ImageRecord&)>& how) -> std::optional<Model> {
    // The result is computed before the call, so that recover() knows it when the process dies in the call.
    ImageRecord now = image->second;
    if (!how(now).ok()) return std::nullopt;
    if (!(now == image->second)) ++now.revision;
    done.images[image->first] = now;
    const auto changed = images.update(image->first, how);
    if (!changed.ok() && changed.error().code() != ErrorCode::kIo) return std::nullopt;
    return done;
  };
  const auto when_there = [](ImageRecord& now, auto&& what) -> Status {
    if (!holds_name(now)) return invalid("deregistered, or failed");
    what(now);
    return {};
  };
  switch (action) {
    case 1:
      return change([&](ImageRecord& now) {
        return when_there(now, [&](auto& i) { i.shared_with.insert(AccountId{clock}); });
      });
    case 2:
      return change(
          [&](ImageRecord& now) { return when_there(now, [&](auto& i) { i.deprecated = UtcTime{clock}; }); });
    case 3:
      return change([&](ImageRecord& now) {
        return when_there(now, [&](auto& i) {
          i.state = i.state == ImageState::kDisabled ? ImageState::kAvailable : ImageState::kDisabled;
        });
      });
    case 4:
      return change([&](ImageRecord& now) {
        return when_there(now, [&](auto& i) {
          i.former_state = i.state;
          i.state = ImageState::kDeregistered;
          i.deregistered = UtcTime{clock};
        });
      });
    case 5: {
      if (image->second.state == ImageState::kDeregistered) {
        ImageRecord& now = done.images[image->first];
        now.state = now.former_state;
        now.former_state = ImageState::kAvailable;
        now.deregistered.reset();
        ++now.revision;
      }
      const auto restored = restore_image(objects, image->first);
      return restored.ok() || restored.error().code() == ErrorCode::kIo ? std::optional(done) : std::nullopt;
    }
    case 6: {
      done.snapshots[snapshot] = Where::kBin;
      const Status deleted = delete_snapshot(objects, snapshot);
      return deleted.ok() || deleted.error().code() == ErrorCode::kIo ? std::optional(done) : std::nullopt;
    }
    case 7: {
      done.snapshots[snapshot] = Where::kThere;
      const auto restored = restore_snapshot(objects, snapshot);
      return restored.ok() || restored.error().code() == ErrorCode::kIo ? std::optional(done) : std::nullopt;
    }
    default: {
      if (prng.below(6) != 0) return std::nullopt;
      for (auto& [id, where] : done.snapshots) {
        if (where == Where::kBin) where = Where::kGone;
      }
      std::erase_if(done.images, [](const auto& one) {
        return one.second.state == ImageState::kDeregistered || is_half_purged(one.second);
      });
      const auto purged = purge_bin(objects, UtcTime::now());
      return purged.ok() || purged.error().code() == ErrorCode::kIo ? std::optional(done) : std::nullopt;
    }
  }
}

TEST_F(Life, OfAnySequenceOfStepsEveryAcknowledgedOneStands) {
  const std::uint64_t seed = random_u64();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng prng(seed);
  Model model;
  std::uint64_t deaths = 0;
  for (std::uint64_t round = 1; round <= 3000; ++round) {
    SCOPED_TRACE(round);
    if (round % 50 == 1) {  // snapshots that were purged are replaced
      ASSERT_TRUE(publish_snapshot(objects_, sample_record(round)).ok());
      model.snapshots[sample_record(round).id] = Where::kThere;
      std::erase_if(model.snapshots, [](const auto& one) { return one.second == Where::kGone; });
    }
    DyingObjects mine(objects_, prng.below(4) == 0 ? static_cast<int>(prng.below(12)) : 1 << 30);
    const auto done = step(mine, model, prng, round);
    if (mine.died()) {
      ++deaths;
      Model possible = done.value_or(model);
      recover(model, possible);
    } else if (done) {
      model = *done;
    }
    check(model);
    if (HasFailure()) return;
  }
  EXPECT_GT(deaths, 100U);
}

}  // namespace
}  // namespace ashlar
