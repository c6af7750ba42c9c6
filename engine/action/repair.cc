#include "action/repair.h"

#include <algorithm>

#include "action/damage_warnings.h"
#include "action/samples.h"
#include "codec/hash.h"
#include "source/source.h"

namespace ashlar {
namespace {

using Offer = std::function<Status(ByteSpan)>;

constexpr std::uint64_t kPieceBlocks = 256;

Status offer_each(ByteSpan bytes, const Offer& offer) {
  for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const ByteSpan block = bytes.subspan(at, kBlockBytes);
    if (!is_zero(block)) TRY(offer(block));  // zeros are not stored as blocks
  }
  return {};
}

// Plans the reads of everything that a source says is data.
class DataPlan {
 public:
  DataPlan(Source& source, std::uint64_t size) : source_(source), size_(size) {}

  Result<std::optional<RunRequest>> next() {
    while (left_ == 0) {
      if (at_ >= size_) return std::optional<RunRequest>();
      const SourceExtent extent = TRY(source_.next_extent(ByteOffset{at_}));
      if (extent.state == SourceState::kData) {
        left_ = extent.bytes.value;
      } else {
        at_ += extent.bytes.value;
      }
    }
    const std::uint64_t bytes = std::min<std::uint64_t>(left_, kLeafBytes);
    const RunRequest request{ordinal_++, ByteOffset{at_}, ByteCount{bytes}};
    at_ += bytes;
    left_ -= bytes;
    return std::optional(request);
  }

 private:
  Source& source_;
  const std::uint64_t size_;
  std::uint64_t at_ = 0;
  std::uint64_t left_ = 0;  // of the extent
  std::uint64_t ordinal_ = 0;
};

// Offers all blocks of a disk that can be read.
Status offer_source(Source& source, const Offer& offer, const std::stop_token& stop) {
  if (!source.size())
    return invalid("a stream can't be searched for blocks: give a file, a device or an NBD URI");
  DataPlan plan(source, source.size()->value);
  const auto reader = TRY(source.read([&plan] { return plan.next(); }));
  while (true) {
    if (stop.stop_requested()) return cancelled();
    const std::optional<Run> run = TRY(reader->next());
    if (!run) return {};
    if (run->unreadable.empty()) {
      TRY(offer_each(run->bytes, offer));
      continue;
    }
    for (std::size_t at = 0; at < run->bytes.size(); at += kBlockBytes) {
      const Lba lba = lba_of(ByteOffset{run->offset.value + at});
      const bool is_unread = std::ranges::any_of(
          run->unreadable, [&](const BlockRange& range) { return range.first <= lba && lba < range.end(); });
      if (!is_unread) TRY(offer_each(run->bytes.subspan(at, kBlockBytes), offer));
    }
  }
}

// Offers the blocks that an overlay holds. One that can't be read is left out.
Status offer_overlay(const Overlay& overlay, const Offer& offer, const std::stop_token& stop) {
  AlignedBuffer buffer(kPieceBlocks * kBlockBytes);
  const BlockRange all{Lba{0}, blocks_covering(overlay.size())};
  for (const HoldRun& run : overlay.states(all)) {
    if (run.hold != BlockHold::kClean && run.hold != BlockHold::kDirty) continue;
    std::uint64_t piece = kPieceBlocks;  // one block after a piece that can't be read
    for (Lba at = run.blocks.first; at < run.blocks.end();) {
      if (stop.stop_requested()) return cancelled();
      const BlockCount count{std::min(piece, (run.blocks.end() - at).value)};
      const MutableByteSpan out = buffer.span().first(byte_count(count).value);
      const std::uint64_t bytes =
          std::min<std::uint64_t>(out.size(), overlay.size().value - byte_offset(at).value);
      std::ranges::fill(out.subspan(bytes), std::byte{0});
      if (overlay.read(byte_offset(at), out.first(bytes)).ok()) {
        TRY(offer_each(out, offer));
        at += count;
        piece = kPieceBlocks;
      } else if (count.value > 1) {
        piece = 1;
      } else {
        at += count;
      }
    }
  }
  return {};
}

}  // namespace

Result<ScrubReport> scrub_store(Repo& repo, const Caller& caller, const ScrubOptions& options) {
  const VerifyParts parts = TRY(repo.verify_parts());
  VerifyProgress progress;
  const auto watch = caller.notices.watch("scrub", [&progress] { return sample_of(progress); });
  return scrub(parts, options, progress, caller.stop);
}

Result<VerifyReport> describe_damage(Repo& repo, const Caller& caller) {
  return describe_damage(TRY(repo.verify_parts()), caller.stop);
}

Result<Repaired> repair_store(Repo& repo, const Caller& caller, const RepairRequest& request) {
  const WriteParts parts = TRY(repo.write_parts());
  RepairSources sources;
  if (request.from != nullptr) {
    const VerifyParts from = TRY(request.from->verify_parts());
    sources.stores.push_back({from.objects, from.index, *TRY(request.from->segments()),
                              request.from->config().id == repo.config().id});
  }
  std::unique_ptr<Overlay> overlay;
  if (request.volume && request.host != nullptr) {
    overlay = TRY(request.host->volumes().open_overlay(*request.volume));
    sources.blocks.push_back([&](const Offer& offer) { return offer_overlay(*overlay, offer, caller.stop); });
  }
  std::unique_ptr<Source> source;
  if (!request.source.empty()) {
    source = TRY(open_source(request.source, {}));
    sources.blocks.push_back([&](const Offer& offer) { return offer_source(*source, offer, caller.stop); });
  }
  RepairProgress progress;
  Repaired repaired;
  repaired.report = TRY(repair(parts, sources, progress, caller.stop));
  for (const std::string& warning : repaired.report.warnings) caller.notices.warn(warning);
  repaired.left = TRY(describe_damage(repo, caller));
  return repaired;
}

}  // namespace ashlar
