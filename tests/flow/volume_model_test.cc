// Tests of whole volumes against plain bytes: reads, writes, trims, zeroes, flushes, snapshots, clones,
// growth, clean ends, and power cuts in the middle of any of them, on a simulated disk. ASHLAR_LONG_TESTS=1
// runs 10^6 operations.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "flow/world.h"
#include "host/volume_snapshots.h"
#include "image/snapshot_users.h"
#include "simulated/simulated_file_system.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kEpochOperations = 10'000;  // on one simulated disk
constexpr std::size_t kMostVolumes = 3;
constexpr std::uint64_t kImageBytes = (5 << 20) + 700;
constexpr std::uint64_t kMostBytes = 7 << 20;

using Bytes = std::vector<std::byte>;

// The bytes that a volume has to read as, and for each block that changed since the last flush the contents
// that it may have after a power cut. Each sector of such a block may come from any one of them.
class Model {
 public:
  explicit Model(Bytes bytes) : now_(std::move(bytes)) {}

  const Bytes& now() const { return now_; }
  std::uint64_t size() const { return now_.size(); }
  void put(std::uint64_t offset, ByteSpan bytes) {
    if (bytes.empty()) return;
    const std::uint64_t first = offset / kBlockBytes;
    const std::uint64_t last = (offset + bytes.size() - 1) / kBlockBytes;
    for (std::uint64_t block = first; block <= last; ++block) {
      auto& versions = versions_[block];
      if (versions.empty()) versions.push_back(block_bytes(block));
    }
    std::memcpy(now_.data() + offset, bytes.data(), bytes.size());
    for (std::uint64_t block = first; block <= last; ++block) versions_[block].push_back(block_bytes(block));
  }
  void flushed() { versions_.clear(); }
  void grow(std::uint64_t size) { now_.resize(size); }
  // Checks, after a power cut, that each block found is one of its allowed contents, and takes it as the
  // content from then on.
  void expect_one_of_its_pasts(const Bytes& found) {
    ASSERT_EQ(found.size(), now_.size());
    for (const auto& [block, versions] : versions_) take_block(block, versions, found);
    versions_.clear();
    ASSERT_TRUE(found == now_) << "a block changed that nobody wrote since the last flush";
  }

 private:
  Bytes block_bytes(std::uint64_t block) const {
    const std::uint64_t from = block * kBlockBytes;
    const std::uint64_t to = std::min<std::uint64_t>(from + kBlockBytes, now_.size());
    return {now_.begin() + static_cast<std::ptrdiff_t>(from), now_.begin() + static_cast<std::ptrdiff_t>(to)};
  }
  void take_block(std::uint64_t block, const std::vector<Bytes>& versions, const Bytes& found) {
    const std::uint64_t from = block * kBlockBytes;
    const std::size_t bytes = versions.back().size();
    for (std::size_t at = 0; at < bytes; at += kSectorBytes) {
      const std::size_t count = std::min<std::size_t>(kSectorBytes, bytes - at);
      const ByteSpan got = ByteSpan(found).subspan(from + at, count);
      const bool allowed = std::ranges::any_of(versions, [&](const Bytes& version) {
        return at + count <= version.size() && bytes_equal(ByteSpan(version).subspan(at, count), got);
      });
      EXPECT_TRUE(allowed) << "block " << block << ", byte " << at << ": " << versions.size() << " versions";
      std::memcpy(now_.data() + from + at, got.data(), count);
    }
  }

  Bytes now_;
  std::map<std::uint64_t, std::vector<Bytes>> versions_;
};

class Epoch {
 public:
  Epoch(const std::string& image, const Bytes& bytes, std::uint64_t seed)
      : image_(image), image_bytes_(bytes), prng_(seed) {}

  void run(std::uint64_t operations) {
    ASSERT_OK(Repo::init(files_, StoreAddress{"/store"}, {}));
    open_store();
    SnapshotRecord first;
    ASSERT_OK(capture_image(first));
    add_volume(first.id, image_bytes_);
    for (done_ = 0; done_ < operations && !testing::Test::HasFatalFailure(); ++done_) step();
    if (!testing::Test::HasFatalFailure()) end_cleanly();
  }

  std::uint64_t cuts() const { return cuts_; }
  std::uint64_t snapshots() const { return snapshots_; }

 private:
  struct Held {
    std::unique_ptr<Volume> volume;
    Model model;
  };

  void open_store() {
    auto repo = Repo::open(files_, StoreAddress{"/store"}, {{}, {}, true});
    ASSERT_OK(repo);
    repo_ = repo.take();
    open_volumes_ = std::make_unique<Volumes>(*repo_, 4 << 20);
  }
  Status capture_image(SnapshotRecord& record) {
    Repo& repo = *repo_;
    const WriteParts parts = TRY(repo.write_parts());
    const auto source = TRY(open_source(image_, {}));
    CaptureProgress progress;
    record = TRY(capture(parts, *source, {}, progress, {})).record;
    return {};
  }
  void add_volume(SnapshotId snapshot, Bytes bytes) {
    auto record = open_volumes_->create({snapshot, {}, "", {}, {}});
    if (failed(record)) return;
    auto volume = open_volumes_->open(record.value().id);
    if (failed(volume)) return;
    volumes_.emplace(record.value().id, Held{volume.take(), Model(std::move(bytes))});
  }

  // Returns whether a call failed. A call may fail only after the disk was told to lose power.
  template <class R>
  bool failed(const R& result) {
    if (result.ok()) return false;
    if (!armed_) ADD_FAILURE() << "operation " << done_ << ": " << result.error().text();
    power_is_gone_ = true;
    return true;
  }

  void step() {
    if (volumes_.empty()) return power_cut();
    auto place = volumes_.begin();
    std::advance(place, static_cast<std::ptrdiff_t>(prng_.below(volumes_.size())));
    Held& held = place->second;
    const std::uint64_t what = prng_.below(10'000);
    if (what < 4000) {
      read(held);
    } else if (what < 7500) {
      write(held);
    } else if (what < 8800) {
      zero(held);
    } else if (what < 9300) {
      flush(held);
    } else if (what < 9500) {
      fetch(held);
    } else if (what < 9700) {
      prefetch_all_of_it(held);
    } else if (what < 9780) {
      snapshot(place->first, held);
    } else if (what < 9800) {
      clone(place->first, held);
    } else if (what < 9820) {
      grow(place->first, held);
    } else if (what < 9850) {
      reopen(place->first, held);
    } else if (what < 9860) {
      remove(place->first);
    } else if (what < 9870) {
      delete_snapshots();
    } else if (what < 9920) {
      lose_power_within(300);
    } else if (what < 9925) {
      power_is_gone_ = true;
    }
    if (power_is_gone_) power_cut();
  }

  void lose_power_within(std::uint64_t disk_operations) {
    if (armed_) return;
    armed_ = true;
    files_.stop_at(files_.operations() + prng_.below(disk_operations));
  }

  std::pair<std::uint64_t, std::uint64_t> range(const Model& model) {
    const std::uint64_t offset = prng_.below(model.size());
    const std::uint64_t longest = prng_.below(20) == 0 ? (1 << 20) : (20 << 10);
    return {offset, std::min(model.size() - offset, 1 + prng_.below(longest))};
  }
  void read(Held& held) {
    const auto [offset, bytes] = range(held.model);
    Bytes out(bytes);
    if (failed(held.volume->read(ByteOffset{offset}, out))) return;
    ASSERT_TRUE(bytes_equal(out, ByteSpan(held.model.now()).subspan(offset, bytes)))
        << "operation " << done_ << ": " << bytes << " bytes at " << offset;
  }
  void write(Held& held) {
    const auto [offset, bytes] = range(held.model);
    Bytes data(bytes);
    if (prng_.below(4) == 0) {
      std::ranges::fill(data, static_cast<std::byte>(prng_.below(3)));
    } else {
      prng_.fill(data);
    }
    const Status written = held.volume->write(ByteOffset{offset}, data);
    held.model.put(offset, data);  // a write that failed may have been done in part
    (void)failed(written);
  }
  void zero(Held& held) {
    const auto [offset, bytes] = range(held.model);
    const Status zeroed =
        held.volume->write_zeroes(ByteOffset{offset}, ByteCount{bytes}, prng_.below(2) == 0);
    held.model.put(offset, Bytes(bytes));
    (void)failed(zeroed);
  }
  void flush(Held& held) {
    if (!failed(held.volume->flush())) held.model.flushed();
  }
  void fetch(Held& held) {
    const auto [offset, bytes] = range(held.model);
    (void)failed(held.volume->fetch(blocks_of(ByteOffset{offset}, ByteCount{bytes})));
  }
  void prefetch_all_of_it(Held& held) {
    if (prng_.below(20) != 0) return;
    (void)failed(held.volume->fetch({Lba{}, blocks_covering(held.volume->size())}));
  }
  // Takes a snapshot and checks that it reads as the volume does at that moment. A snapshot also makes
  // everything in it durable.
  std::optional<SnapshotId> snapshot(VolumeId id, Held& held) {
    if (prng_.below(3) == 0) lose_power_within(80);
    CaptureOptions how;
    how.threads = 1;
    CaptureProgress progress;
    auto report = snapshot_one(*repo_, *open_volumes_, {id, held.volume.get(), how}, progress, {});
    if (failed(report)) return {};
    held.model.flushed();
    ++snapshots_;
    auto image = open_volumes_->images().open(report.value().record.id);
    if (failed(image)) return {};
    Bytes found(byte_count(blocks_covering(held.volume->size())).value);
    const Status read = image.value()->read({Lba{}, blocks_covering(held.volume->size())}, found);
    if (failed(read)) return {};
    found.resize(held.model.size());
    EXPECT_TRUE(found == held.model.now()) << "operation " << done_;
    return report.value().record.id;
  }
  void clone(VolumeId id, Held& held) {
    if (volumes_.size() >= kMostVolumes) return;
    const auto taken = snapshot(id, held);
    if (taken) add_volume(*taken, held.model.now());
  }
  void grow(VolumeId id, Held& held) {
    const std::uint64_t size = held.model.size() + prng_.below(100'000);
    if (size > kMostBytes) return;
    const Status grown = open_volumes_->resize(id, held.volume->overlay(), ByteCount{size});
    if (!failed(grown)) held.model.grow(size);
  }
  void reopen(VolumeId id, Held& held) {
    if (failed(held.volume->overlay().close())) return;
    held.model.flushed();
    held.volume.reset();
    auto volume = open_volumes_->open(id);
    if (!failed(volume)) held.volume = volume.take();
  }
  void remove(VolumeId id) {
    if (volumes_.size() < 2) return;
    volumes_.erase(id);
    (void)failed(open_volumes_->remove(id));
  }

  // Deletes all snapshots that no volume's record names. No volume may need one of them, so the volumes have
  // to work on.
  void delete_snapshots() {
    std::vector<std::string> unread;
    const auto records = repo_->snapshots().list(unread);
    if (failed(records)) return;
    const auto users = SnapshotUsers::read(repo_->objects());
    if (failed(users)) return;
    for (const SnapshotRecord& record : records.value()) {
      if (!users.value().is_base(record.id) && failed(remove_snapshot(repo_->objects(), record.id))) return;
    }
  }

  // Cuts the power and opens everything again: every volume has to read as one of the contents that its
  // writes allow.
  void power_cut() {
    ++cuts_;
    for (auto& [id, held] : volumes_) held.volume.reset();
    open_volumes_.reset();
    repo_.reset();
    const std::uint64_t how = prng_.below(6);
    files_.crash(how < 2 ? how : prng_.next());
    armed_ = power_is_gone_ = false;
    open_store();
    ASSERT_NO_FATAL_FAILURE(forget_strangers());
    for (auto& [id, held] : volumes_) {
      auto volume = open_volumes_->open(id);
      ASSERT_OK(volume);
      held.volume = volume.take();
      const std::uint64_t size = held.volume->size().value;
      ASSERT_GE(size, held.model.size());  // growth that was not acknowledged may have happened
      held.model.grow(size);
      Bytes found(size);
      ASSERT_OK(held.volume->read(ByteOffset{}, found));
      ASSERT_NO_FATAL_FAILURE(held.model.expect_one_of_its_pasts(found)) << "operation " << done_;
      ASSERT_OK(held.volume->flush());
    }
    if (prng_.below(2) == 0) delete_snapshots();
    if (volumes_.empty()) {
      SnapshotRecord again;
      ASSERT_OK(capture_image(again));
      add_volume(again.id, image_bytes_);
    }
  }
  // Removes volumes whose creation or deletion was cut off, and checks that all others still have a record.
  void forget_strangers() {
    const auto records = open_volumes_->catalog().list();
    ASSERT_OK(records);
    for (const VolumeRecord& record : records.value()) {
      if (!volumes_.contains(record.id)) ASSERT_OK(open_volumes_->remove(record.id));
    }
    for (const auto& [id, held] : volumes_) ASSERT_OK(open_volumes_->catalog().get(id));
  }
  void end_cleanly() {
    if (armed_) return power_cut();
    for (auto& [id, held] : volumes_) ASSERT_OK(held.volume->overlay().close());
  }

  const std::string image_;
  const Bytes& image_bytes_;
  Prng prng_;
  SimulatedFileSystem files_;
  std::unique_ptr<Repo> repo_;
  std::unique_ptr<Volumes> open_volumes_;
  std::map<VolumeId, Held> volumes_;
  std::uint64_t done_ = 0;
  std::uint64_t cuts_ = 0;
  std::uint64_t snapshots_ = 0;
  bool armed_ = false;          // the disk will lose power at one of its next operations
  bool power_is_gone_ = false;  // a call failed, so the power is lost
};

TEST(VolumeModel, AnyOperationsAndPowerCuts) {
  const char* wish = std::getenv("SEED");
  const std::uint64_t seed =
      wish != nullptr ? std::strtoull(wish, nullptr, 10) : random_u64() % 1'000'000'000;
  const char* is_long = std::getenv("ASHLAR_LONG_TESTS");
  const std::uint64_t epochs = is_long != nullptr && *is_long == '1' ? 100 : 2;
  RecordProperty("seed", std::to_string(seed));
  std::printf("SEED=%llu\n", static_cast<unsigned long long>(seed));
  TemporaryDirectory directory;
  Image image(directory / "image", kImageBytes);
  Prng prng(seed);
  for (int i = 0; i < 12; ++i) image.edit(prng);
  std::uint64_t cuts = 0;
  std::uint64_t snapshots = 0;
  for (std::uint64_t epoch = 0; epoch < epochs && !HasFailure(); ++epoch) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", epoch " + std::to_string(epoch));
    Epoch run(image.path(), image.model(), prng.next());
    run.run(kEpochOperations);
    cuts += run.cuts();
    snapshots += run.snapshots();
  }
  std::printf("%llu operations, %llu power cuts, %llu snapshots\n",
              static_cast<unsigned long long>(epochs * kEpochOperations),
              static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(snapshots));
  EXPECT_GT(cuts, epochs * 10);
  EXPECT_GT(snapshots, epochs * 10);
}

}  // namespace
}  // namespace ashlar
