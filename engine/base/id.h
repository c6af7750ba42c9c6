// Identifiers as distinct types of fixed size. Their text is lower-case hexadecimal.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

std::string to_hex(ByteSpan bytes);
// Reads exactly 2 × out.size() lower-case digits; anything else is kInvalid.
Status from_hex(std::string_view text, MutableByteSpan out);

template <class Tag, std::size_t kSize>
struct BinaryId {
  static constexpr std::size_t kBytes = kSize;
  std::array<std::byte, kSize> bytes{};

  ByteSpan span() const { return bytes; }
  MutableByteSpan span() { return bytes; }
  std::string hex() const { return to_hex(bytes); }
  bool is_zero() const { return *this == BinaryId{}; }
  // Returns the first eight bytes as a little-endian number. It serves as a hash, because the bytes are a
  // hash or random.
  std::uint64_t prefix() const {
    std::uint64_t p = 0;
    std::memcpy(&p, bytes.data(), sizeof p);
    return p;
  }
  static Result<BinaryId> parse(std::string_view text) {
    BinaryId id;
    TRY(from_hex(text, id.bytes));
    return id;
  }
  friend auto operator<=>(const BinaryId&, const BinaryId&) = default;
};

using BlockMark = BinaryId<struct BlockMarkTag, 32>;  // SHA-256 of a block: names its bytes
using BlockId = BinaryId<struct BlockIdTag, 32>;      // what directories and the index hold for a mark
using SegmentId = BinaryId<struct SegmentIdTag, 32>;  // hash over a segment's block ids
using NodeId = BinaryId<struct NodeIdTag, 32>;        // hash of a manifest node's encoding
using ContentDigest = BinaryId<struct ContentDigestTag, 32>;    // names the bytes, not their packing
using RegionHash = BinaryId<struct RegionHashTag, 16>;          // keyed hash of a region: detects change only
using PackId = BinaryId<struct PackIdTag, 16>;                  // 8 random bytes, then 8 of its session's id
using StoreId = BinaryId<struct StoreIdTag, 16>;                // random
using HostId = BinaryId<struct HostIdTag, 8>;                   // digest of what identifies a host
using SessionId = BinaryId<struct SessionIdTag, 16>;            // random
using Nonce = BinaryId<struct NonceTag, 16>;                    // random: makes the bytes of a version unique
using SourceIdentity = BinaryId<struct SourceIdentityTag, 32>;  // digest that identifies a source

std::string record_id_text(std::string_view prefix, std::uint64_t value);
Result<std::uint64_t> parse_record_id(std::string_view prefix, std::string_view noun, std::string_view text);

// The id of a record, such as `snap-` and 17 hexadecimal digits of which the first is 0: 64 random bits, in
// the form of EC2's ids. Value 0 means none.
template <class Tag>
struct RecordId {
  static constexpr std::string_view kNoun = Tag::kNoun;
  static constexpr ErrorKind kMissing = Tag::kMissing;
  std::uint64_t value = 0;
  std::string text() const { return record_id_text(Tag::kPrefix, value); }
  static Result<RecordId> parse(std::string_view text) {
    return RecordId{TRY(parse_record_id(Tag::kPrefix, Tag::kNoun, text))};
  }
  friend auto operator<=>(RecordId, RecordId) = default;
};

struct SnapshotIdTag {
  static constexpr std::string_view kPrefix = "snap-0";
  static constexpr std::string_view kNoun = "snapshot";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchSnapshot;
};
struct VolumeIdTag {
  static constexpr std::string_view kPrefix = "vol-0";
  static constexpr std::string_view kNoun = "volume";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchVolume;
};
struct InstanceIdTag {
  static constexpr std::string_view kPrefix = "i-0";
  static constexpr std::string_view kNoun = "instance";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchInstance;
};
struct ImageIdTag {
  static constexpr std::string_view kPrefix = "ami-0";
  static constexpr std::string_view kNoun = "image";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchImage;
};
struct LaunchTemplateIdTag {
  static constexpr std::string_view kPrefix = "lt-0";
  static constexpr std::string_view kNoun = "launch template";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchTemplate;
};
struct LifecyclePolicyIdTag {
  static constexpr std::string_view kPrefix = "policy-0";
  static constexpr std::string_view kNoun = "lifecycle policy";
  static constexpr ErrorKind kMissing = ErrorKind::kNoSuchPolicy;
};
using SnapshotId = RecordId<SnapshotIdTag>;
using VolumeId = RecordId<VolumeIdTag>;
using InstanceId = RecordId<InstanceIdTag>;
using ImageId = RecordId<ImageIdTag>;
using LaunchTemplateId = RecordId<LaunchTemplateIdTag>;
using LifecyclePolicyId = RecordId<LifecyclePolicyIdTag>;

// The owner of images: 12 decimal digits, in the form of EC2's accounts. Value 0 means none.
struct AccountId {
  std::uint64_t value = 0;
  std::string text() const;
  static Result<AccountId> parse(std::string_view text);
  // Returns the account of a store that was not given one: a number made from the store's id.
  static AccountId of_store(const StoreId& store);
  friend auto operator<=>(AccountId, AccountId) = default;
};

struct IdHash {
  template <class Tag, std::size_t kSize>
  std::size_t operator()(const BinaryId<Tag, kSize>& id) const {
    return id.prefix();
  }
  template <class Tag>
  std::size_t operator()(RecordId<Tag> id) const {
    return id.value;
  }
};

}  // namespace ashlar
