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

// Returns "packs/3f/3f….pack" for a data pack and "meta/3f/3f….pack" for a meta pack.
std::string pack_key(PackKind kind, const PackId& pack);
// Returns the id that a key of either folder names; nothing for any other key.
std::optional<PackId> pack_of_key(std::string_view key);

// Returns a new id for a pack that the session writes: eight random bytes, then the first eight bytes of the
// session's id. Equal beginnings of ids would make a bucket slow, so the random bytes come first.
PackId new_pack_id(const SessionId& session);
// Returns whether the pack's id says that the session wrote it. Two sessions with equal first eight bytes
// can't be told apart.
bool written_by(const PackId& pack, const SessionId& session);
// Returns the smallest id that a session with written_by() can have.
SessionId first_writer_of(const PackId& pack);

struct ListedPack {
  PackId id;
  std::uint64_t bytes = 0;
};
// Returns all published packs of a kind. Skips objects in the folder that are not packs.
Result<std::vector<ListedPack>> list_packs(ObjectStore& objects, PackKind kind);

// A reader of one published pack, at places that its footer or the index gave. Every function except
// read_raw() checks what it returns. Any number of threads may call.
class PackReader {
 public:
  // Opens the pack and reads nothing: for packs that the index knows, whose places are all that a reader
  // needs. Header and trailer are not checked. WholePackReader checks them, for verify and for any other work
  // that relies on the pack.
  static Result<std::shared_ptr<PackReader>> open(ObjectStore& objects, PackKind kind, const PackId& pack,
                                                  ReadMode mode = ReadMode::kCached);

  std::uint64_t bytes() const { return object_->size(); }

  Result<SegmentDirectory> read_directory(const SegmentEntry& entry) const;
  // Reads the stored bytes of frames; `offset` and length come from a directory.
  Status read_raw(std::uint64_t offset, MutableByteSpan out) const;
  // Returns the encoding of a node, after it compared the node's id.
  Result<ByteVector> read_node(const NodeEntry& entry) const;

 protected:
  explicit PackReader(std::shared_ptr<ObjectReader> object) : object_(std::move(object)) {}

  std::shared_ptr<ObjectReader> object_;
};

// The directories and the footer of a data pack in memory: everything that the pack holds but its frames.
class DataPackTail {
 public:
  // The entries of the footer.
  const std::vector<SegmentEntry>& entries() const { return entries_; }
  // Decodes and checks the directory of one of the entries.
  Result<SegmentDirectory> directory(const SegmentEntry& entry) const;

 private:
  friend class WholePackReader;
  ByteVector bytes_;          // the directories, then the footer
  std::uint64_t offset_ = 0;  // of the directories, from the start of the pack
  std::vector<SegmentEntry> entries_;
};

// A reader of a published pack that the index does not know: open() reads and checks its header and trailer.
class WholePackReader : public PackReader {
 public:
  static Result<std::shared_ptr<WholePackReader>> open(ObjectStore& objects, PackKind kind,
                                                       const PackId& pack, ReadMode mode = ReadMode::kCached);

  const PackId& id() const { return header_.pack; }
  const PackHeader& header() const { return header_; }
  const PackTrailer& trailer() const { return trailer_; }

  // Reads all directories and the footer of a data pack with one read, of at most kMaxPackTailBytes.
  Result<DataPackTail> read_tail() const;
  Result<std::vector<SegmentEntry>> segments() const;  // the entries in the footer of a data pack
  Result<std::vector<NodeEntry>> nodes() const;        // the entries in the footer of a meta pack

 private:
  WholePackReader(std::shared_ptr<ObjectReader> object, PackHeader header, PackTrailer trailer)
      : PackReader(std::move(object)), header_(header), trailer_(trailer) {}
  Result<ByteVector> read_footer() const;

  PackHeader header_;
  PackTrailer trailer_;
};

// A segment, compressed and ready to append.
struct EncodedSegment {
  SegmentDirectory directory;
  ByteVector payload;  // the frames, back to back
};

// A writer of one data pack, front to back. Its first failure poisons it. For one thread.
class DataPackWriter {
 public:
  // Creates a pack with a new id of the session.
  static Result<std::unique_ptr<DataPackWriter>> create(ObjectStore& objects, const StoreId& store,
                                                        const SessionId& session);
  // Writes the frames; the directory is kept in memory until finish().
  Status append(const EncodedSegment& segment);
  // Writes the directories and the footer and publishes the pack durably.
  Status finish();

  const PackId& id() const { return id_; }
  // Returns the length of the pack so far, with the directories and without the footer.
  std::uint64_t bytes() const { return offset_ + directories_.size(); }
  // Returns the footer's entries. Their directory offsets are right after finish().
  const std::vector<SegmentEntry>& entries() const { return entries_; }

 private:
  DataPackWriter(std::unique_ptr<ObjectWriter> object, const PackId& id)
      : object_(std::move(object)), id_(id) {}
  std::unique_ptr<ObjectWriter> object_;
  PackId id_;
  std::uint64_t offset_ = 0;
  ByteVector directories_;  // encoded, back to back
  std::vector<SegmentEntry> entries_;
};

// A writer of one meta pack of manifest nodes, under the rules of DataPackWriter.
class MetaPackWriter {
 public:
  static Result<std::unique_ptr<MetaPackWriter>> create(ObjectStore& objects, const StoreId& store,
                                                        const SessionId& session);
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
