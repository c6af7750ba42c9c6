// The bytes of a bundle: one image with its snapshots as a stream. Page: docs/format/bundle.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/id.h"
#include "base/result.h"
#include "codec/hash.h"
#include "format/node_format.h"
#include "format/pack_format.h"
#include "format/snapshot_record.h"

namespace ashlar {

inline constexpr std::uint16_t kBundleVersion = 2;
inline constexpr std::size_t kBundleHeaderBytes = 72;
inline constexpr std::size_t kBundleItemHeadBytes = 24;
inline constexpr std::size_t kMaxBundleImageBytes = 1UL << 20U;  // limit of an image record
inline constexpr std::size_t kMaxBundleSegmentBytes = kMaxDirectoryBytes + kSegmentBytes;

// The first bytes of a bundle.
struct BundleHeader {
  StoreId store;  // the store that made the bundle
  ImageId image;  // the image's id in that store
  ImageId since;  // the bundle leaves out what this image's snapshots hold; value 0: leaves out nothing
  // The image that `since` is a copy of, and its store; zero when it is not a copy. That store has nodes with
  // other ids: it finds them in this image.
  StoreId since_store;
  ImageId since_original;

  // Sets what `since` is a copy of, as its record says: an image of value 0 when it is not a copy.
  void set_original(const StoreId& of_store, ImageId of_image) {
    since_store = of_image.value == 0 ? StoreId{} : of_store;
    since_original = of_image;
  }
  friend bool operator==(const BundleHeader&, const BundleHeader&) = default;
};
ByteVector encode(const BundleHeader& header);
Result<BundleHeader> decode_bundle_header(ByteSpan bytes);

enum class BundleItem : std::uint8_t { kImage = 1, kSnapshot = 2, kSegment = 3, kNode = 4, kEnd = 5 };

struct BundleItemHead {
  BundleItem type = BundleItem::kEnd;
  std::uint32_t bytes = 0;     // length of what follows, within the limit of its type
  std::uint64_t checksum = 0;  // XXH3-64 of what follows
  friend bool operator==(const BundleItemHead&, const BundleItemHead&) = default;
};
ByteVector encode(const BundleItemHead& head);
Result<BundleItemHead> decode_bundle_item_head(ByteSpan bytes);

// The last item: the number of items before it, and SHA-256 of all bytes before its head.
struct BundleEnd {
  std::uint64_t items = 0;
  Sha256 digest{};
  friend bool operator==(const BundleEnd&, const BundleEnd&) = default;
};
ByteVector encode(const BundleEnd& end);
Result<BundleEnd> decode_bundle_end(ByteSpan bytes);

}  // namespace ashlar
