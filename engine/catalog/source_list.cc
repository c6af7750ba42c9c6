#include "catalog/source_list.h"

#include <algorithm>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kMagic = "ASHLSRC1";
constexpr std::size_t kHeadBytes = 8 + StoreId::kBytes;
constexpr std::size_t kEntryBytes = 8 + SourceIdentity::kBytes + 8;
constexpr std::size_t kChecksumBytes = 8;

}  // namespace

SourceList SourceList::decode(ByteSpan bytes, const StoreId& store) {
  SourceList list;
  if (bytes.size() < kHeadBytes + kChecksumBytes) return list;
  const ByteSpan body = bytes.first(bytes.size() - kChecksumBytes);
  if (ByteReader(bytes.last(kChecksumBytes)).u64() != checksum64(body)) return list;
  ByteReader in(body);
  StoreId whose;
  if (!in.expect(kMagic)) return list;
  in.copy(whose.span());
  if (whose != store || in.left() % kEntryBytes != 0) return list;
  list.entries_.resize(in.left() / kEntryBytes);
  for (Entry& entry : list.entries_) {
    entry.snapshot.value = in.u64();
    in.copy(entry.source.span());
    entry.created.unix_ns = in.u64();
  }
  if (!std::ranges::is_sorted(list.entries_, {}, &Entry::snapshot)) list.entries_.clear();
  return list;
}

ByteVector SourceList::encode(const StoreId& store) const {
  ByteWriter out;
  out.text(kMagic);
  out.bytes(store.span());
  for (const Entry& entry : entries_) {
    out.u64(entry.snapshot.value);
    out.bytes(entry.source.span());
    out.u64(entry.created.unix_ns);
  }
  out.u64(checksum64(out.span()));
  return out.take();
}

// A snapshot that is still being made is read again each time. One in the bin has its entry, because it may
// come back.
Status SourceList::update(const SnapshotCatalog& snapshots, std::vector<std::string>& unread) {
  std::vector<SnapshotId> ids = TRY(snapshots.list_ids());
  std::ranges::sort(ids);
  std::vector<Entry> now;
  now.reserve(ids.size());
  auto known = entries_.begin();
  for (const SnapshotId id : ids) {
    while (known != entries_.end() && known->snapshot < id) ++known;
    if (known != entries_.end() && known->snapshot == id) {
      now.push_back(*known);
      continue;
    }
    const auto object = snapshots.read(id);
    if (object.ok()) {
      const SnapshotRecord* record = record_of(object.value());
      if (record == nullptr) continue;
      now.push_back({id, record->source_identity, record->created});
      has_changed_ = true;
    } else if (!is(object, ErrorCode::kNotFound)) {
      unread.push_back(object.error().text());
    }
  }
  has_changed_ = has_changed_ || now.size() != entries_.size();
  entries_ = std::move(now);
  return {};
}

Result<std::optional<SnapshotRecord>> SourceList::newest_of(const SnapshotCatalog& snapshots,
                                                            const SourceIdentity& identity,
                                                            std::vector<std::string>& unread) {
  TRY(update(snapshots, unread));
  std::vector<Entry> found;
  std::ranges::copy_if(entries_, std::back_inserter(found),
                       [&](const Entry& entry) { return entry.source == identity; });
  std::ranges::sort(found, std::greater<>(),
                    [](const Entry& entry) { return std::pair(entry.created, entry.snapshot); });
  for (const Entry& entry : found) {
    auto record = snapshots.get(entry.snapshot);
    if (record.ok() && record.value().source_identity == identity) return std::optional(record.take());
    if (!record.ok() && !is(record, ErrorCode::kNotFound)) unread.push_back(record.error().text());
  }
  return std::optional<SnapshotRecord>();
}

}  // namespace ashlar
