// BadSectors: a source with unreadable blocks, as a failing disk has them.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "source/source.h"

namespace ashlar {

// A source that reads from `disk`, and reports the blocks listed in `bad` as unreadable, with zeros in their
// place.
class BadSectors : public Source {
 public:
  BadSectors(std::unique_ptr<Source> disk, std::vector<std::uint64_t> bad)
      : disk_(std::move(disk)), bad_(std::move(bad)) {}
  SourceType type() const override { return disk_->type(); }
  const std::string& name() const override { return disk_->name(); }
  std::string identity() const override { return disk_->identity(); }
  std::optional<ByteCount> size() const override { return disk_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override { return disk_->next_extent(offset); }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return disk_->changed_extents();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(std::make_unique<Reader>(TRY(disk_->read(std::move(plan))), bad_));
  }

 private:
  class Reader : public RunReader {
   public:
    Reader(std::unique_ptr<RunReader> reader, const std::vector<std::uint64_t>& bad)
        : reader_(std::move(reader)), bad_(bad) {}
    Result<std::optional<Run>> next() override {
      auto run = TRY(reader_->next());
      if (!run) return run;
      const Lba first = lba_of(run->offset);
      for (const std::uint64_t block : bad_) {
        if (block < first.value || block >= first.value + run->bytes.size() / kBlockBytes) continue;
        run->unreadable.push_back({Lba{block}, BlockCount{1}});
        std::memset(run->bytes.data() + (block - first.value) * kBlockBytes, 0, kBlockBytes);
      }
      return run;
    }

   private:
    std::unique_ptr<RunReader> reader_;
    const std::vector<std::uint64_t>& bad_;
  };
  std::unique_ptr<Source> disk_;
  std::vector<std::uint64_t> bad_;
};

}  // namespace ashlar
