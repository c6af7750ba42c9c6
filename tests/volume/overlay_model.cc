#include "volume/overlay_model.h"

#include <algorithm>

namespace ashlar {

namespace {

constexpr VolumeId kVolume{77};
constexpr std::uint64_t kFirstBase = 5;

}  // namespace

OverlayModel::OverlayModel(FileSystem& files, std::string directory, std::uint64_t bytes, std::uint64_t seed)
    : files_(files), directory_(std::move(directory)), size_(bytes), base_size_(bytes), prng_(seed) {
  auto& base = bases_[kFirstBase];
  for (std::uint64_t lba = 0; lba < blocks(); ++lba) {
    if (lba % 7 == 3) {
      base.push_back(zero_block());
      continue;
    }
    ByteVector block(kBlockBytes);
    const std::uint64_t length = std::min(kBlockBytes, size_ - lba * kBlockBytes);
    Prng(lba + 1).fill(MutableByteSpan(block).first(length));
    base.push_back(std::make_shared<const ByteVector>(std::move(block)));
  }
  now_ = base;
  settle_versions();
}

OverlayModel::Block OverlayModel::zero_block() {
  static const Block zero = std::make_shared<const ByteVector>(kBlockBytes);
  return zero;
}

OverlayModel::Block OverlayModel::base_block(std::uint64_t base, std::uint64_t lba) const {
  const auto& all = bases_.at(base);
  return lba < all.size() ? all[lba] : zero_block();
}

bool OverlayModel::take(const Status& status) {
  if (!status.ok()) error_ = status.error().text();
  return status.ok();
}

void OverlayModel::settle_versions() {
  versions_.clear();
  for (const Block& block : now_) versions_.push_back({block});
}

bool OverlayModel::create() {
  auto created = Overlay::create(files_, directory_, kVolume, ByteCount{size_}, SnapshotId{kFirstBase});
  if (!created.ok()) return take(created.take_error());
  overlay_ = created.take();
  return true;
}

void OverlayModel::put(std::uint64_t offset, ByteSpan bytes) {
  while (!bytes.empty()) {
    const std::uint64_t lba = offset / kBlockBytes;
    const std::uint64_t inside = offset % kBlockBytes;
    const ByteSpan part = bytes.first(std::min<std::size_t>(bytes.size(), kBlockBytes - inside));
    ByteVector block = *now_[lba];
    std::ranges::copy(part, block.begin() + static_cast<std::ptrdiff_t>(inside));
    now_[lba] = is_zero(block) ? zero_block() : std::make_shared<const ByteVector>(std::move(block));
    versions_[lba].push_back(now_[lba]);
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
}

bool OverlayModel::fetch_edges(std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t end = offset + bytes;
  if (offset % kBlockBytes != 0 && !put_clean(offset / kBlockBytes, 1)) return false;
  return end % kBlockBytes == 0 || end == size_ || put_clean(end / kBlockBytes, 1);
}

bool OverlayModel::write(std::uint64_t offset, std::uint64_t bytes) {
  ByteVector data(bytes);
  prng_.fill(data);
  Status written = overlay_->write(ByteOffset{offset}, data);
  if (is(written, ErrorCode::kBusy)) {
    if (!fetch_edges(offset, bytes)) return false;
    written = overlay_->write(ByteOffset{offset}, data);
  }
  put(offset, data);
  return take(written);
}

bool OverlayModel::write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) {
  Status written = overlay_->write_zeroes(ByteOffset{offset}, ByteCount{bytes}, may_unmap);
  if (is(written, ErrorCode::kBusy)) {
    if (!fetch_edges(offset, bytes)) return false;
    written = overlay_->write_zeroes(ByteOffset{offset}, ByteCount{bytes}, may_unmap);
  }
  put(offset, ByteVector(bytes));
  return take(written);
}

bool OverlayModel::put_clean(std::uint64_t first, std::uint64_t count) {
  ByteVector bytes;
  const std::uint64_t base = overlay_->base().value;
  for (std::uint64_t lba = first; lba < first + count; ++lba) {
    const Block block = base_block(base, lba);
    bytes.insert(bytes.end(), block->begin(), block->end());
  }
  bytes.resize(std::min<std::size_t>(bytes.size(), size_ - first * kBlockBytes));
  return take(overlay_->put_clean(Lba{first}, bytes));
}

bool OverlayModel::put_clean_zeroes(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t lba = first; lba < first + count; ++lba) {
    if (!is_zero(*base_block(overlay_->base().value, lba))) continue;
    if (!take(overlay_->put_clean_zeroes({Lba{lba}, BlockCount{1}}))) return false;
  }
  return true;
}

bool OverlayModel::flush() {
  if (!take(overlay_->flush())) return false;
  settle_versions();
  return true;
}

bool OverlayModel::close() {
  if (!take(overlay_->close())) return false;
  settle_versions();
  return true;
}

bool OverlayModel::grow(std::uint64_t bytes) {
  // A crash during the growth may leave the old size or the new one.
  while (now_.size() < (bytes + kBlockBytes - 1) / kBlockBytes) {
    now_.push_back(zero_block());
    versions_.push_back({zero_block()});
  }
  if (!take(overlay_->grow(ByteCount{bytes}))) return false;
  size_ = bytes;
  settle_versions();
  return true;
}

bool OverlayModel::begin_view() {
  auto view = overlay_->begin_view();
  if (!view.ok()) return take(view.take_error());
  view_ = view.take();
  settle_versions();
  instant_ = now_;
  EXPECT_EQ(view_->base(), overlay_->base());
  EXPECT_EQ(view_->size().value, size_);
  return true;
}

bool OverlayModel::read_view() {
  std::vector<Block> seen;
  for (std::uint64_t lba = 0; lba < instant_.size(); ++lba)
    seen.push_back(base_block(view_->base().value, lba));
  for (const HoldRun& run : view_->changes()) {
    ByteVector bytes(byte_count(run.blocks.count).value);
    if (!take(view_->read(run.blocks.first, bytes))) return false;
    for (std::uint64_t i = 0; i < run.blocks.count.value; ++i) {
      const ByteSpan block = ByteSpan(bytes).subspan(i * kBlockBytes, kBlockBytes);
      seen[run.blocks.first.value + i] = std::make_shared<const ByteVector>(block.begin(), block.end());
    }
  }
  for (std::uint64_t lba = 0; lba < instant_.size(); ++lba) {
    EXPECT_TRUE(bytes_equal(*seen[lba], *instant_[lba])) << "the view differs at block " << lba;
  }
  return true;
}

bool OverlayModel::end_view() {
  const std::uint64_t id = bases_.rbegin()->first + 1;
  bases_[id] = instant_;
  if (!take(overlay_->end_view(std::move(view_), SnapshotId{id}))) return false;
  settle_versions();
  return true;
}

void OverlayModel::drop() {
  view_.reset();
  overlay_.reset();
}

void OverlayModel::reopen(bool settled) {
  auto opened = Overlay::open(files_, directory_, kVolume);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  overlay_ = opened.take();
  observe(settled);
}

OverlayModel::Block OverlayModel::read_block(std::uint64_t lba, BlockHold hold) {
  if (hold == BlockHold::kAbsent) return base_block(overlay_->base().value, lba);
  ByteVector bytes(kBlockBytes);
  const auto part = MutableByteSpan(bytes).first(std::min(kBlockBytes, size_ - lba * kBlockBytes));
  const Status read = overlay_->read(byte_offset(Lba{lba}), part);
  if (!read.ok()) {
    // Only blocks that a failed sync may have lost may be refused.
    EXPECT_NE(read.error().text().find("a sync failed"), std::string::npos) << read.error().text();
    return nullptr;
  }
  return std::make_shared<const ByteVector>(std::move(bytes));
}

void OverlayModel::observe(bool settled) {
  size_ = overlay_->size().value;
  now_.resize(blocks());
  versions_.resize(blocks());
  for (const HoldRun& run : overlay_->states({Lba{0}, BlockCount{blocks()}})) {
    for (std::uint64_t lba = run.blocks.first.value; lba < run.blocks.end().value; ++lba) {
      Block block = read_block(lba, run.hold);
      if (!block) continue;
      if (run.hold == BlockHold::kClean) {
        ASSERT_TRUE(bytes_equal(*block, *base_block(overlay_->base().value, lba)))
            << "block " << lba << " is clean, and not what the base has";
      }
      for (std::uint64_t at = 0; at < kBlockBytes; at += kSectorBytes) {
        const ByteSpan sector = ByteSpan(*block).subspan(at, kSectorBytes);
        const bool allowed = std::ranges::any_of(versions_[lba], [&](const Block& version) {
          return bytes_equal(sector, ByteSpan(*version).subspan(at, kSectorBytes));
        });
        ASSERT_TRUE(allowed) << "block " << lba << " byte " << at << " state " << static_cast<int>(run.hold)
                             << " of " << versions_[lba].size() << " versions";
      }
      now_[lba] = block;
      if (settled) versions_[lba] = {block};
    }
  }
}

void OverlayModel::check_counters() {
  std::array<std::uint64_t, 4> counts{};
  for (const HoldRun& run : overlay_->states({Lba{0}, BlockCount{blocks()}})) {
    counts.at(static_cast<std::size_t>(run.hold)) += run.blocks.count.value;
  }
  const auto counted = overlay_->counters();
  EXPECT_EQ(counted.clean.value, counts[1]);
  EXPECT_EQ(counted.dirty.value, counts[2]);
  EXPECT_EQ(counted.zero.value, counts[3]);
}

}  // namespace ashlar
