#include "source/nbd_source.h"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>

#include "source/nbd_connection.h"
#include "source/nbd_reader.h"

namespace ashlar {
namespace {

constexpr std::uint32_t kStateDirty = 1;  // flag of a qemu:dirty-bitmap: context

constexpr std::uint64_t round_down(std::uint64_t n) { return n / kBlockBytes * kBlockBytes; }
constexpr std::uint64_t round_up(std::uint64_t n) { return round_down(n + kBlockBytes - 1); }

SourceState state_of(std::uint32_t flags) {
  if ((flags & LIBNBD_STATE_ZERO) == 0) return SourceState::kData;
  return (flags & LIBNBD_STATE_HOLE) != 0 ? SourceState::kUnallocated : SourceState::kZero;
}

class NbdSource : public Source {
 public:
  NbdSource(std::shared_ptr<NbdConnection> connection, std::string bitmap)
      : connection_(std::move(connection)),
        bitmap_(std::move(bitmap)),
        knows_allocation_(connection_->has_context(LIBNBD_CONTEXT_BASE_ALLOCATION)) {}

  SourceType type() const override { return SourceType::kNbd; }
  const std::string& name() const override { return connection_->uri(); }
  std::string identity() const override { return "nbd:" + connection_->uri(); }
  std::optional<ByteCount> size() const override { return connection_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override;
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override;
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(std::make_unique<NbdReader>(connection_, std::move(plan)));
  }

 private:
  struct Piece {
    std::uint64_t end;
    SourceState state;
  };
  Result<Piece> piece_at(std::uint64_t offset);

  std::shared_ptr<NbdConnection> connection_;
  std::string bitmap_;  // the full name of the context, or empty
  bool knows_allocation_;
  // The last answer of the server: consecutive pieces from known_from_ on.
  std::uint64_t known_from_ = 0;
  std::vector<Piece> known_;
};

// Returns the piece that contains `offset`, cut where the server cuts it: its end need not be aligned to a
// block.
Result<NbdSource::Piece> NbdSource::piece_at(std::uint64_t offset) {
  const auto find = [&] {
    return std::find_if(known_.begin(), known_.end(), [&](const Piece& piece) { return piece.end > offset; });
  };
  auto found = find();
  if (offset < known_from_ || found == known_.end()) {
    known_.clear();
    known_from_ = offset;
    std::uint64_t at = offset;
    for (const auto& piece :
         TRY(connection_->block_status(LIBNBD_CONTEXT_BASE_ALLOCATION, ByteOffset{offset}))) {
      at += piece.bytes.value;
      const SourceState state = state_of(piece.flags);
      if (!known_.empty() && known_.back().state == state) {
        known_.back().end = at;
      } else {
        known_.push_back({at, state});
      }
    }
    found = known_.begin();
  }
  // Extents are asked for from front to back, so the pieces before this one are not needed again.
  const Piece piece = *found;
  if (found != known_.begin()) {
    known_from_ = std::prev(found)->end;
    known_.erase(known_.begin(), found);
  }
  return piece;
}

Result<SourceExtent> NbdSource::next_extent(ByteOffset offset) {
  const std::uint64_t size = connection_->size().value;
  const std::uint64_t start = offset.value;
  CHECK(start < size && start % kBlockBytes == 0);
  if (!knows_allocation_) return SourceExtent{offset, ByteCount{size - start}, SourceState::kData};
  const Piece first = TRY(piece_at(start));
  const std::uint64_t block_end = std::min(start + kBlockBytes, size);
  if (first.state == SourceState::kData) {
    return SourceExtent{offset, ByteCount{std::min(round_up(first.end), size) - start}, first.state};
  }
  if (first.end >= block_end) {
    const std::uint64_t end = first.end == size ? size : round_down(first.end);
    return SourceExtent{offset, ByteCount{end - start}, first.state};
  }
  // A block with several pieces is data if any piece is; otherwise it is ZERO, which claims less than a hole
  // does.
  SourceState state = SourceState::kZero;
  for (std::uint64_t at = first.end; at < block_end;) {
    const Piece next = TRY(piece_at(at));
    if (next.state == SourceState::kData) state = SourceState::kData;
    at = next.end;
  }
  return SourceExtent{offset, ByteCount{block_end - start}, state};
}

Result<std::optional<std::vector<SourceExtent>>> NbdSource::changed_extents() {
  if (bitmap_.empty()) return std::optional<std::vector<SourceExtent>>();
  const std::uint64_t size = connection_->size().value;
  std::vector<SourceExtent> changed;
  for (std::uint64_t at = 0; at < size;) {
    for (const auto& piece : TRY(connection_->block_status(bitmap_, ByteOffset{at}))) {
      const std::uint64_t start = round_down(at);
      at += piece.bytes.value;
      if ((piece.flags & kStateDirty) == 0) continue;
      const std::uint64_t end = std::min(round_up(at), size);
      if (!changed.empty() && changed.back().offset.value + changed.back().bytes.value >= start) {
        changed.back().bytes = ByteOffset{end} - changed.back().offset;
      } else {
        changed.push_back({ByteOffset{start}, ByteCount{end - start}, SourceState::kData});
      }
    }
  }
  return std::optional(std::move(changed));
}

}  // namespace

Result<std::unique_ptr<Source>> open_nbd_source(const std::string& uri, const SourceOptions& options) {
  std::vector<std::string> contexts = {LIBNBD_CONTEXT_BASE_ALLOCATION};
  std::string bitmap;
  if (!options.dirty_bitmap.empty()) {
    bitmap = "qemu:dirty-bitmap:" + options.dirty_bitmap;
    contexts.push_back(bitmap);
  }
  std::shared_ptr<NbdConnection> connection = TRY(NbdConnection::open(uri, contexts));
  if (!bitmap.empty() && !connection->has_context(bitmap)) {
    return invalid(
        fmt::format("{}: the server does not offer the dirty bitmap \"{}\"", uri, options.dirty_bitmap));
  }
  return std::unique_ptr<Source>(std::make_unique<NbdSource>(std::move(connection), std::move(bitmap)));
}

}  // namespace ashlar
