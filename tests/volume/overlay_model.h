// OverlayModel: an overlay together with a plain model of it. The model knows what each block reads as at
// present, and every content that it had since the last flush: after a crash each sector has to equal one of
// them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/file_system.h"
#include "volume/overlay.h"

namespace ashlar {

class OverlayModel {
 public:
  static constexpr std::uint64_t kSectorBytes = 512;

  OverlayModel(FileSystem& files, std::string directory, std::uint64_t bytes, std::uint64_t seed);

  Overlay& overlay() { return *overlay_; }
  std::uint64_t size() const { return size_; }
  bool alive() const { return overlay_ != nullptr; }
  bool has_view() const { return view_ != nullptr; }

  // Each of these does one operation on both and compares them. It returns false when the overlay refused,
  // which a healthy overlay never does.
  bool create();
  bool write(std::uint64_t offset, std::uint64_t bytes);
  bool write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap);
  bool put_clean(std::uint64_t first, std::uint64_t count);
  bool put_clean_zeroes(std::uint64_t first, std::uint64_t count);
  bool flush();
  bool close();
  bool grow(std::uint64_t bytes);
  bool begin_view();
  bool read_view();  // reads the whole view
  bool end_view();
  void abandon_view() { view_.reset(); }

  // Drops the overlay without closing it, as a killed process does.
  void drop();
  // Opens the overlay again. What it reads as has to be one of the contents the model allows, and becomes the
  // model's content. `settled`: the power was lost, so what is read is durable and all older contents are
  // forgotten.
  void reopen(bool settled);
  // Compares as reopen() does, without opening the overlay again: for use after calls that failed.
  void observe(bool settled);
  void check_counters();
  const std::string& last_error() const { return error_; }

 private:
  using Block = std::shared_ptr<const ByteVector>;

  static Block zero_block();
  Block base_block(std::uint64_t base, std::uint64_t lba) const;
  Block read_block(std::uint64_t lba, BlockHold hold);
  bool take(const Status& status);
  void put(std::uint64_t offset, ByteSpan bytes);
  void settle_versions();
  bool fetch_edges(std::uint64_t offset, std::uint64_t bytes);
  std::uint64_t blocks() const { return (size_ + kBlockBytes - 1) / kBlockBytes; }

  FileSystem& files_;
  std::string directory_;
  std::uint64_t size_;
  std::uint64_t base_size_;
  Prng prng_;
  std::unique_ptr<Overlay> overlay_;
  std::vector<Block> now_;
  std::vector<std::vector<Block>> versions_;  // contents since the last flush, the flushed one first
  std::map<std::uint64_t, std::vector<Block>> bases_;
  std::unique_ptr<SnapshotView> view_;
  std::vector<Block> instant_;
  std::string error_;
};

}  // namespace ashlar
