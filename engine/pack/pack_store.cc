#include "pack/pack_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/random.h"
#include "format/node_format.h"

namespace ashlar {
namespace {

constexpr std::string_view kSuffix = ".pack";
constexpr std::size_t kSessionBytes = 8;  // bytes of a session's id in the ids of its packs
constexpr auto kSessionAt = static_cast<std::ptrdiff_t>(PackId::kBytes - kSessionBytes);

std::string_view folder(PackKind kind) { return kind == PackKind::kData ? "packs/" : "meta/"; }

}  // namespace

std::string pack_key(PackKind kind, const PackId& pack) {
  const std::string hex = pack.hex();
  return fmt::format("{}{}/{}{}", folder(kind), hex.substr(0, 2), hex, kSuffix);
}

std::optional<PackId> pack_of_key(std::string_view key) {
  const auto slash = key.rfind('/');
  if (slash == std::string_view::npos || !key.ends_with(kSuffix)) return std::nullopt;
  std::string_view name = key.substr(slash + 1);
  name.remove_suffix(kSuffix.size());
  auto id = PackId::parse(name);
  if (!id.ok()) return std::nullopt;
  const PackId pack = id.take();
  if (key != pack_key(PackKind::kData, pack) && key != pack_key(PackKind::kMeta, pack)) return std::nullopt;
  return pack;
}

PackId new_pack_id(const SessionId& session) {
  PackId pack;
  fill_random(pack.span().first(kSessionAt));
  std::copy_n(session.bytes.begin(), kSessionBytes, pack.bytes.begin() + kSessionAt);
  return pack;
}

bool written_by(const PackId& pack, const SessionId& session) {
  return std::equal(pack.bytes.begin() + kSessionAt, pack.bytes.end(), session.bytes.begin());
}

SessionId first_writer_of(const PackId& pack) {
  SessionId session;
  std::copy(pack.bytes.begin() + kSessionAt, pack.bytes.end(), session.bytes.begin());
  return session;
}

Result<std::vector<ListedPack>> list_packs(ObjectStore& objects, PackKind kind) {
  std::vector<ListedPack> packs;
  TRY(objects.list(folder(kind), [&](const ObjectInfo& object) -> Status {
    const auto id = pack_of_key(object.key);
    if (!id) return {};
    packs.push_back({*id, object.size == kUnknownSize ? TRY(objects.stat(object.key)).size : object.size});
    return {};
  }));
  return packs;
}

Result<std::shared_ptr<PackReader>> PackReader::open(ObjectStore& objects, PackKind kind, const PackId& pack,
                                                     ReadMode mode) {
  const std::string key = pack_key(kind, pack);
  std::shared_ptr<ObjectReader> object = TRY(objects.open(key, mode).with_context(key));
  return std::shared_ptr<PackReader>(new PackReader(std::move(object)));
}

Result<std::shared_ptr<WholePackReader>> WholePackReader::open(ObjectStore& objects, PackKind kind,
                                                               const PackId& pack, ReadMode mode) {
  const std::string key = pack_key(kind, pack);
  std::shared_ptr<ObjectReader> object = TRY(objects.open(key, mode).with_context(key));
  const auto read_ends = [&]() -> Result<std::shared_ptr<WholePackReader>> {
    if (object->size() < kPackHeaderBytes + kPackTrailerBytes)
      return corrupt("pack: too short: it is truncated");
    std::array<std::byte, kPackHeaderBytes> raw_header;
    TRY(object->read_at(0, raw_header));
    const PackHeader header = TRY(decode_pack_header(raw_header));
    if (header.pack != pack || header.kind != kind) return corrupt("pack: its header names another pack");
    std::array<std::byte, kPackTrailerBytes> raw_trailer;
    TRY(object->read_at(object->size() - kPackTrailerBytes, raw_trailer));
    const PackTrailer trailer = TRY(decode_pack_trailer(raw_trailer, object->size()));
    if (trailer.kind != kind) return corrupt("pack: header and trailer disagree on its kind");
    return std::shared_ptr<WholePackReader>(new WholePackReader(object, header, trailer));
  };
  return read_ends().with_context(key);
}

Result<ByteVector> WholePackReader::read_footer() const {
  ByteVector footer(trailer_.footer_bytes());
  TRY(object_->read_at(trailer_.footer_offset, footer));
  return footer;
}

Result<std::vector<SegmentEntry>> WholePackReader::segments() const {
  return decode_segment_entries(trailer_, TRY(read_footer()));
}

Result<std::vector<NodeEntry>> WholePackReader::nodes() const {
  return decode_node_entries(trailer_, TRY(read_footer()));
}

Result<DataPackTail> WholePackReader::read_tail() const {
  DataPackTail tail;
  tail.offset_ = trailer_.directories_offset;
  tail.bytes_.resize(trailer_.footer_offset - tail.offset_ + trailer_.footer_bytes());
  TRY(object_->read_at(tail.offset_, tail.bytes_));
  tail.entries_ = TRY(decode_segment_entries(trailer_, ByteSpan(tail.bytes_).last(trailer_.footer_bytes())));
  return tail;
}

namespace {

bool fits(std::uint64_t offset, std::uint64_t bytes, std::uint64_t whole) {
  return offset <= whole && bytes <= whole - offset;
}

Result<SegmentDirectory> decode_directory(const SegmentEntry& entry, ByteSpan raw) {
  SegmentDirectory directory = TRY(decode_segment_directory(raw));
  if (directory.id != entry.id) return corrupt("pack: a segment is not the one its footer names");
  if (directory.blocks.size() != entry.block_count || directory.payload_bytes() != entry.payload_bytes) {
    return corrupt("pack: a segment's directory and the footer disagree");
  }
  return directory;
}

}  // namespace

// The entries were checked against the trailer when they were decoded. An entry of another pack is refused.
Result<SegmentDirectory> DataPackTail::directory(const SegmentEntry& entry) const {
  if (entry.directory_offset < offset_ ||
      !fits(entry.directory_offset - offset_, entry.directory_bytes, bytes_.size()))
    return corrupt("pack: it has no such directory");
  return decode_directory(entry,
                          ByteSpan(bytes_).subspan(entry.directory_offset - offset_, entry.directory_bytes));
}

// Both ranges are checked first: a pack that was truncated does not hold the blocks that the directory names,
// and a caller that asks whether they are stored must not be told that they are.
Result<SegmentDirectory> PackReader::read_directory(const SegmentEntry& entry) const {
  if (!fits(entry.payload_offset, entry.payload_bytes, object_->size()) ||
      !fits(entry.directory_offset, entry.directory_bytes, object_->size()))
    return corrupt("pack: it ends before a segment that it should hold");
  ByteVector raw(entry.directory_bytes);
  TRY(object_->read_at(entry.directory_offset, raw));
  return decode_directory(entry, raw);
}

Status PackReader::read_raw(std::uint64_t offset, MutableByteSpan out) const {
  return object_->read_at(offset, out);
}

Result<ByteVector> PackReader::read_node(const NodeEntry& entry) const {
  if (entry.bytes > kMaxNodeBytes) return corrupt("pack: a node of impossible size");
  ByteVector encoding(entry.bytes);
  TRY(object_->read_at(entry.offset, encoding));
  if (node_id(encoding) != entry.id)
    return corrupt(fmt::format("node {} does not match its id", entry.id.hex()));
  return encoding;
}

Result<std::unique_ptr<DataPackWriter>> DataPackWriter::create(ObjectStore& objects, const StoreId& store,
                                                               const SessionId& session) {
  const PackId id = new_pack_id(session);
  auto object = TRY(objects.create(pack_key(PackKind::kData, id)));
  std::unique_ptr<DataPackWriter> writer(new DataPackWriter(std::move(object), id));
  TRY(writer->object_->append(encode(PackHeader{PackKind::kData, store, id})));
  writer->offset_ = PackHeader::contents_offset();
  return writer;
}

Status DataPackWriter::append(const EncodedSegment& segment) {
  const ByteVector directory = encode(segment.directory);
  TRY(object_->append(segment.payload));
  entries_.push_back({segment.directory.id, offset_, directories_.size(),
                      static_cast<std::uint32_t>(segment.payload.size()),
                      static_cast<std::uint32_t>(directory.size()),
                      static_cast<std::uint32_t>(segment.directory.blocks.size())});
  directories_.insert(directories_.end(), directory.begin(), directory.end());
  offset_ += segment.payload.size();
  return {};
}

Status DataPackWriter::finish() {
  const std::uint64_t footer_offset = bytes();
  for (SegmentEntry& entry : entries_) entry.directory_offset += offset_;
  TRY(object_->append(directories_));
  TRY(object_->append(encode_footer(std::span<const SegmentEntry>(entries_), offset_, footer_offset)));
  return object_->finish();
}

Result<std::unique_ptr<MetaPackWriter>> MetaPackWriter::create(ObjectStore& objects, const StoreId& store,
                                                               const SessionId& session) {
  const PackId id = new_pack_id(session);
  auto object = TRY(objects.create(pack_key(PackKind::kMeta, id)));
  std::unique_ptr<MetaPackWriter> writer(new MetaPackWriter(std::move(object), id));
  TRY(writer->object_->append(encode(PackHeader{PackKind::kMeta, store, id})));
  writer->offset_ = PackHeader::contents_offset();
  return writer;
}

Status MetaPackWriter::append(const NodeId& id, ByteSpan encoding) {
  TRY(object_->append(encoding));
  entries_.push_back({id, offset_, static_cast<std::uint32_t>(encoding.size())});
  offset_ += encoding.size();
  return {};
}

Status MetaPackWriter::finish() {
  TRY(object_->append(encode_footer(std::span<const NodeEntry>(entries_), offset_)));
  return object_->finish();
}

}  // namespace ashlar
