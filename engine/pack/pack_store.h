// Packs as objects: names, writers and readers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "format/pack_format.h"
#include "io/object_store.h"

namespace ashlar {

// "packs/3f/3f….pack" and "meta/3f/3f….pack".
std::string pack_key(PackKind kind, const PackId& pack);
// The id a key of either folder names; nothing for a key that is no pack's.
std::optional<PackId> pack_of_key(std::string_view key);

struct ListedPack {
  PackId id;
  std::uint64_t bytes = 0;
};
// All published packs of a kind. Objects in the folder that are no packs are passed over.
Result<std::vector<ListedPack>> list_packs(ObjectStore& objects, PackKind kind);

// The content of one published pack, at places that its footer or the index gave. Every read checks what it
// returns, but for read_raw(). Any number of threads.
class PackReader {
 public:
  // Reads nothing: for packs that the index knows, whose places are all that is needed. Their ends are not
  // looked at: WholePackReader does that, for verify and for whatever is about to lean on a pack.
  static Result<std::shared_ptr<PackReader>> open(ObjectStore& objects, PackKind kind, const PackId& pack,
                                                  ReadMode mode = ReadMode::kCached);

  std::uint64_t bytes() const { return object_->size(); }

  Result<SegmentDirectory> read_directory(const SegmentEntry& entry) const;
  // The stored bytes of frames; `offset` and length come from a directory.
  Status read_raw(std::uint64_t offset, MutableByteSpan out) const;
  // A node's encoding; its id is checked.
  Result<ByteVector> read_node(const NodeEntry& entry) const;

 protected:
  explicit PackReader(std::shared_ptr<ObjectReader> object) : object_(std::move(object)) {}

  std::shared_ptr<ObjectReader> object_;
};

// One published pack of which nothing is known yet: its header and trailer are read and checked at open.
class WholePackReader : public PackReader {
 public:
  static Result<std::shared_ptr<WholePackReader>> open(ObjectStore& objects, PackKind kind,
                                                       const PackId& pack, ReadMode mode = ReadMode::kCached);

  const PackId& id() const { return header_.pack; }
  const PackHeader& header() const { return header_; }
  std::uint64_t footer_offset() const { return trailer_.footer_offset; }

  Result<std::vector<SegmentEntry>> segments() const;  // the footer of a data pack
  Result<std::vector<NodeEntry>> nodes() const;        // the footer of a meta pack

 private:
  WholePackReader(std::shared_ptr<ObjectReader> object, PackHeader header, PackTrailer trailer)
      : PackReader(std::move(object)), header_(header), trailer_(trailer) {}
  Result<ByteVector> read_footer() const;

  PackHeader header_;
  PackTrailer trailer_;
};

// A segment compressed and ready to append.
struct EncodedSegment {
  SegmentDirectory directory;
  ByteVector payload;  // the frames, back to back
};

// Writes one data pack front to back. Poisoned by its first failure. One thread.
class DataPackWriter {
 public:
  static Result<std::unique_ptr<DataPackWriter>> create(ObjectStore& objects, const StoreId& store);
  Status append(const EncodedSegment& segment);
  // Publishes the pack durably.
  Status finish();

  const PackId& id() const { return id_; }
  std::uint64_t bytes() const { return offset_; }
  const std::vector<SegmentEntry>& entries() const { return entries_; }

 private:
  DataPackWriter(std::unique_ptr<ObjectWriter> object, const PackId& id)
      : object_(std::move(object)), id_(id) {}
  std::unique_ptr<ObjectWriter> object_;
  PackId id_;
  std::uint64_t offset_ = 0;
  std::vector<SegmentEntry> entries_;
};

// The same for manifest nodes.
class MetaPackWriter {
 public:
  static Result<std::unique_ptr<MetaPackWriter>> create(ObjectStore& objects, const StoreId& store);
  Status append(const NodeId& id, ByteSpan encoding);
  Status finish();

  const PackId& id() const { return id_; }
  std::uint64_t bytes() const { return offset_; }
  const std::vector<NodeEntry>& entries() const { return entries_; }

 private:
  MetaPackWriter(std::unique_ptr<ObjectWriter> object, const PackId& id)
      : object_(std::move(object)), id_(id) {}
  std::unique_ptr<ObjectWriter> object_;
  PackId id_;
  std::uint64_t offset_ = 0;
  std::vector<NodeEntry> entries_;
};

}  // namespace ashlar
