// Loading of a boot pack. The first read is short, so that the regions that a machine wants first are there
// while the rest is read.
#include "catalog/traces.h"
#include "format/boot_pack_format.h"
#include "format/cursor.h"
#include "volume/boot_pack.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kFirstReadBytes = std::uint64_t{2} << 20U;

class Loader {
 public:
  Loader(const WarmParts& parts, const std::function<void(std::uint64_t)>& arrived)
      : parts_(parts), arrived_(arrived) {}

  // Takes the complete items at the start of `bytes` and returns how many bytes they were.
  Result<std::size_t> take(ByteSpan bytes, const std::stop_token& stop) {
    std::size_t at = 0;
    while (bytes.size() - at >= kBootItemHeaderBytes) {
      if (stop.stop_requested()) return cancelled();
      const BootItemHeader header = TRY(decode_boot_item_header(bytes.subspan(at, kBootItemHeaderBytes)));
      if (bytes.size() - at - kBootItemHeaderBytes < header.bytes) break;
      TRY(take_item(header, bytes.subspan(at + kBootItemHeaderBytes, header.bytes)));
      at += kBootItemHeaderBytes + header.bytes;
    }
    return at;
  }

 private:
  Status take_item(const BootItemHeader& header, ByteSpan bytes) {
    switch (header.kind) {
      case BootItemKind::kLeaf:
        return parts_.nodes.remember_leaf(bytes);
      case BootItemKind::kInnerNode:
        return parts_.nodes.remember_inner(bytes);
      case BootItemKind::kDirectory:
        segments_.push_back(TRY(parts_.segments.remember(TRY(decode_segment_directory(bytes)))));
        return {};
      case BootItemKind::kFrame:
        return take_frame(header, bytes);
      case BootItemKind::kRegion:
        arrived_(ByteReader(bytes).u64());
        return {};
    }
    return {};
  }

  Status take_frame(const BootItemHeader& header, ByteSpan bytes) {
    if (header.segment >= segments_.size()) return corrupt("boot pack: a frame before its directory");
    const LocatedSegment& segment = *segments_[header.segment];
    if (header.frame >= segment.directory.frames.size() ||
        segment.directory.frames[header.frame].stored_bytes != bytes.size()) {
      return corrupt("boot pack: a frame that its segment does not have");
    }
    return parts_.frames.remember(segment, header.frame, bytes);
  }

  const WarmParts& parts_;
  const std::function<void(std::uint64_t)>& arrived_;
  std::vector<std::shared_ptr<const LocatedSegment>> segments_;
};

}  // namespace

Status load_boot_pack(const WarmParts& parts, const TraceRecord& trace,
                      const std::function<void(std::uint64_t)>& arrived, const std::stop_token& stop) {
  const std::string key = boot_pack_key(trace.snapshot, trace.boot_pack);
  const auto object = TRY(parts.objects.open(key, ReadMode::kCached));
  const std::uint64_t size = object->size();
  if (size != trace.pack_bytes || size > kMaxBootPackBytes || size < kBootPackHeaderBytes)
    return corrupt(key + ": is not as long as it should be");
  ByteVector bytes(size);
  const std::uint64_t first = std::min(size, kFirstReadBytes);
  TRY(object->read_at(0, MutableByteSpan(bytes).first(first)));
  const auto header =
      TRY(decode_boot_pack_header(ByteSpan(bytes).first(kBootPackHeaderBytes)).with_context(key));
  if (header.id != trace.boot_pack || header.snapshot != trace.snapshot)
    return corrupt(key + ": is another boot pack");
  Loader loader(parts, arrived);
  std::size_t taken = kBootPackHeaderBytes;
  taken += TRY(loader.take(ByteSpan(bytes).subspan(taken, first - taken), stop).with_context(key));
  if (first < size) TRY(object->read_at(first, MutableByteSpan(bytes).subspan(first)));
  taken += TRY(loader.take(ByteSpan(bytes).subspan(taken), stop).with_context(key));
  return taken == size ? Status() : corrupt(key + ": ends within an item");
}

}  // namespace ashlar
