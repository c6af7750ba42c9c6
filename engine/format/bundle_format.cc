#include "format/bundle_format.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kMagic = "ASHLBNDL";
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kEndBytes = 40;

// Each sum follows its encoder, member by member.
static_assert(kBundleHeaderBytes == kMagic.size() + 2 + 6 + 2 * (StoreId::kBytes + 8) + 8);
static_assert(kBundleItemHeadBytes == 1 + 3 + 4 + 8 + kChecksumBytes);

Error damaged(std::string_view what) { return corrupt(fmt::format("bundle: {}", what)); }

std::size_t limit_of(BundleItem type) {
  switch (type) {
    case BundleItem::kImage:
      return kMaxBundleImageBytes;
    case BundleItem::kSnapshot:
      return kMaxSnapshotRecordBytes;
    case BundleItem::kSegment:
      return kMaxBundleSegmentBytes;
    case BundleItem::kNode:
      return kMaxNodeBytes;
    case BundleItem::kEnd:
      return kEndBytes;
  }
  return 0;
}

}  // namespace

ByteVector encode(const BundleHeader& header) {
  ByteWriter out;
  out.text(kMagic);
  out.u16(kBundleVersion);
  out.zeros(6);
  out.bytes(header.store.span());
  out.u64(header.image.value);
  out.u64(header.since.value);
  out.bytes(header.since_store.span());
  out.u64(header.since_original.value);
  return out.take();
}

Result<BundleHeader> decode_bundle_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (!in.expect(kMagic)) return damaged("this is not a bundle");
  const auto version = in.u16();
  if (version > kBundleVersion)
    return unsupported(fmt::format("bundle: format version {} is newer than this program", version));
  if (version < kBundleVersion) return damaged("impossible version");
  if (!in.reserved(6)) return damaged("reserved bytes are not zero");
  BundleHeader header;
  in.copy(header.store.span());
  header.image.value = in.u64();
  header.since.value = in.u64();
  in.copy(header.since_store.span());
  header.since_original.value = in.u64();
  if (!in.done()) return damaged("wrong length");
  if (header.image.value == 0) return damaged("it names no image");
  if (header.since_original.value != 0 ? header.since.value == 0 : !header.since_store.is_zero())
    return damaged("it names the original of no image");
  return header;
}

ByteVector encode(const BundleItemHead& head) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(head.type));
  out.zeros(3);
  out.u32(head.bytes);
  out.u64(head.checksum);
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<BundleItemHead> decode_bundle_item_head(ByteSpan bytes) {
  ByteReader in(bytes);
  BundleItemHead head;
  const auto type = in.u8();
  const bool plain = in.reserved(3);
  head.bytes = in.u32();
  head.checksum = in.u64();
  const auto sum = in.u64();
  if (!in.done()) return damaged("wrong length");
  if (sum != checksum64(bytes.first(kBundleItemHeadBytes - kChecksumBytes)))
    return damaged("the checksum of an item's head does not match");
  if (type < 1 || type > 5 || !plain) return damaged("unknown kind of item");
  head.type = static_cast<BundleItem>(type);
  if (head.bytes > limit_of(head.type)) return damaged("an item is larger than its kind can be");
  return head;
}

ByteVector encode(const BundleEnd& end) {
  ByteWriter out;
  out.u64(end.items);
  out.bytes(end.digest);
  return out.take();
}

Result<BundleEnd> decode_bundle_end(ByteSpan bytes) {
  ByteReader in(bytes);
  BundleEnd end;
  end.items = in.u64();
  in.copy(end.digest);
  if (!in.done()) return damaged("wrong length");
  return end;
}

}  // namespace ashlar
