// An overlay beside a plain model of it. The model knows what each block reads as now, and every state that
// it had since the last flush: after a crash each sector has to be in one of them.
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

  // Each does the same to both and compares. False when the overlay refused, which a healthy one never does.
  bool create();
  bool write(std::uint64_t offset, std::uint64_t bytes);
  bool write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap);
  bool put_clean(std::uint64_t first, std::uint64_t count);
  bool put_clean_zeroes(std::uint64_t first, std::uint64_t count);
  bool flush();
  bool close();
  bool grow(std::uint64_t bytes);
  bool begin_view();
  bool read_view();  // all of it
  bool end_view();
  void abandon_view() { view_.reset(); }

  // Lets go of the overlay as a killed process does.
  void drop();
  // Opens it again; what it reads as has to be allowed, and is the truth from then on. `settled`: the power
  // was gone, and what is there now is durable.
  void reopen(bool settled);
  // The same without opening it again: after calls that failed.
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
  std::vector<std::vector<Block>> versions_;  // since the last flush, the flushed one first
  std::map<std::uint64_t, std::vector<Block>> bases_;
  std::unique_ptr<SnapshotView> view_;
  std::vector<Block> instant_;
  std::string error_;
};

}  // namespace ashlar
