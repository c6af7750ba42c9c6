#include "index/database.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "index/database_options.h"

namespace ashlar {
namespace {

using rocksdb::Slice;

constexpr std::string_view kFormatKey = "format";

Error error_of(const rocksdb::Status& status) {
  const std::string text = fmt::format("index: {}", status.ToString());
  if (status.IsNoSpace() || status.IsMemoryLimit()) return {ErrorCode::kExhausted, text};
  if (status.IsBusy() || status.IsTimedOut() || status.IsAborted() || status.IsTryAgain()) return busy(text);
  return corrupt(text);
}

Status to_status(const rocksdb::Status& status) {
  if (!status.ok()) return error_of(status);
  return {};
}

Slice slice(std::string_view text) { return {text.data(), text.size()}; }
Slice slice(ByteSpan bytes) { return slice(as_text(bytes)); }

Result<PackId> pack_of(const Slice& key) {
  PackId pack;
  if (key.size() != PackId::kBytes) return corrupt("index: a pack key of the wrong length");
  std::memcpy(pack.bytes.data(), key.data(), PackId::kBytes);
  return pack;
}

}  // namespace

struct Database::State {
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(kCacheBytes, 4, false, 0.5);
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  bool writable = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (auto* family : families) static_cast<void>(db->DestroyColumnFamilyHandle(family));
  }
  rocksdb::ColumnFamilyHandle* family(Family which) const {
    return families[static_cast<std::size_t>(which)];
  }

  Status write(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return to_status(db->Write(options, &batch));
  }
  std::unique_ptr<rocksdb::Iterator> scan(Family which, bool within_prefix) const {
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = within_prefix;
    options.total_order_seek = !within_prefix;
    return std::unique_ptr<rocksdb::Iterator>(db->NewIterator(options, family(which)));
  }
  // Writes the format to a new database; refuses a database of another format.
  Status check_format();
  // Moves `rows` to the first row from `prefix` on that starts with it and lies in a pack that is not masked.
  // When there is none, `rows` is invalid or stands on a row that does not start with `prefix`.
  Status seek_place(rocksdb::Iterator& rows, ByteSpan prefix, const std::set<PackId>& masked) const;
};

Status Database::State::check_format() {
  std::string format;
  const rocksdb::Status got = db->Get({}, family(Family::kDefault), slice(kFormatKey), &format);
  if (got.ok() && format == kIndexFormat) return {};
  if (!got.ok() && !got.IsNotFound()) return error_of(got);
  const auto packs = scan(Family::kPacks, false);
  packs->SeekToFirst();
  TRY(to_status(packs->status()));
  if (got.ok() || packs->Valid() || !writable) return corrupt("index: of another format");
  rocksdb::WriteBatch batch;
  TRY(to_status(batch.Put(family(Family::kDefault), slice(kFormatKey), slice(kIndexFormat))));
  TRY(write(batch));
  return to_status(db->Flush({}, families));  // so that processes that open it read-only find the format
}

Status Database::State::seek_place(rocksdb::Iterator& rows, ByteSpan prefix,
                                   const std::set<PackId>& masked) const {
  const Slice wanted = slice(prefix);
  for (rows.Seek(wanted); rows.Valid() && rows.key().starts_with(wanted); rows.Next()) {
    if (rows.key().size() != SegmentId::kBytes + PackId::kBytes)
      return corrupt("index: a key of the wrong length");
    PackId pack;
    std::memcpy(pack.bytes.data(), rows.key().data() + SegmentId::kBytes, PackId::kBytes);
    if (!masked.contains(pack)) return {};
  }
  return to_status(rows.status());
}

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Mode mode) {
  auto state = std::make_unique<State>();
  state->writable = mode == Mode::kWrite;
  const rocksdb::DBOptions options = database_options(state->writable, state->cache);
  const auto families = column_families(state->cache);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      state->writable ? rocksdb::DB::Open(options, path, families, &state->families, &db)
                      : rocksdb::DB::OpenForReadOnly(options, path, families, &state->families, &db);
  if (!opened.ok()) return error_of(opened);
  state->db.reset(db);
  TRY(state->check_format());
  return std::unique_ptr<Database>(new Database(std::move(state)));
}

bool Database::writable() const { return state_->writable; }

Status Database::add(const PackRows& rows) {
  rocksdb::WriteBatch batch;
  for (const Hook& hook : rows.hooks) {
    TRY(to_status(batch.Merge(state_->family(Family::kHooks), big_endian_text(hook.block),
                              big_endian_text(hook.segment))));
  }
  for (const SegmentEntry& entry : rows.row.segments) {
    TRY(to_status(batch.Put(state_->family(Family::kSegments), place_key(entry.id.span(), rows.pack),
                            encode_place(entry))));
  }
  for (const NodeEntry& entry : rows.row.nodes) {
    TRY(to_status(batch.Put(state_->family(Family::kNodes), place_key(entry.id.span(), rows.pack),
                            encode_place(entry))));
  }
  TRY(to_status(
      batch.Put(state_->family(Family::kPacks), slice(rows.pack.span()), encode_pack_row(rows.row))));
  return state_->write(batch);
}

Status Database::forget(const PackId& pack, const PackRow& row) {
  rocksdb::WriteBatch batch;
  for (const SegmentEntry& entry : row.segments) {
    TRY(to_status(batch.Delete(state_->family(Family::kSegments), place_key(entry.id.span(), pack))));
  }
  for (const NodeEntry& entry : row.nodes) {
    TRY(to_status(batch.Delete(state_->family(Family::kNodes), place_key(entry.id.span(), pack))));
  }
  TRY(to_status(batch.Delete(state_->family(Family::kPacks), slice(pack.span()))));
  return state_->write(batch);
}

Status Database::flush() {
  if (!state_->writable) return {};
  return to_status(state_->db->Flush({}, state_->families));
}

bool Database::has_failed() const {
  std::uint64_t errors = 0;
  state_->db->GetIntProperty(rocksdb::DB::Properties::kBackgroundErrors, &errors);
  return errors > 0;
}

Result<std::vector<std::vector<std::uint64_t>>> Database::find_hooks(
    std::span<const std::uint64_t> blocks) const {
  std::vector<std::string> texts;
  texts.reserve(blocks.size());
  for (const std::uint64_t block : blocks) texts.push_back(big_endian_text(block));
  const std::vector<Slice> keys(texts.begin(), texts.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  state_->db->MultiGet({}, state_->family(Family::kHooks), keys.size(), keys.data(), values.data(),
                       statuses.data());
  std::vector<std::vector<std::uint64_t>> found(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    TRY(to_status(statuses[i]));
    if (values[i].size() % kPrefixBytes != 0) return corrupt("index: a hook of the wrong length");
    const auto* bytes = reinterpret_cast<const std::byte*>(values[i].data());
    for (std::size_t at = 0; at < values[i].size(); at += kPrefixBytes)
      found[i].push_back(big_endian_u64(bytes + at));
  }
  return found;
}

Result<std::map<std::uint64_t, SegmentId>> Database::resolve(const std::set<std::uint64_t>& prefixes,
                                                             const std::set<PackId>& masked) const {
  std::map<std::uint64_t, SegmentId> ids;
  if (prefixes.empty()) return ids;
  const auto rows = state_->scan(Family::kSegments, true);
  for (const std::uint64_t prefix : prefixes) {
    const std::string wanted = big_endian_text(prefix);
    TRY(state_->seek_place(*rows, as_byte_span(wanted), masked));
    if (!rows->Valid() || !rows->key().starts_with(wanted)) continue;
    std::memcpy(ids[prefix].bytes.data(), rows->key().data(), SegmentId::kBytes);
  }
  return ids;
}

Result<std::optional<SegmentPlace>> Database::find_segment(const SegmentId& id,
                                                           const std::set<PackId>& masked) const {
  const auto rows = state_->scan(Family::kSegments, true);
  TRY(state_->seek_place(*rows, id.span(), masked));
  if (!rows->Valid() || !rows->key().starts_with(slice(id.span()))) return std::optional<SegmentPlace>();
  return std::optional(TRY(decode_segment_place(rows->key().ToStringView(), rows->value().ToStringView())));
}

Result<std::optional<NodePlace>> Database::find_node(const NodeId& id, const std::set<PackId>& masked) const {
  const auto rows = state_->scan(Family::kNodes, true);
  TRY(state_->seek_place(*rows, id.span(), masked));
  if (!rows->Valid() || !rows->key().starts_with(slice(id.span()))) return std::optional<NodePlace>();
  return std::optional(TRY(decode_node_place(rows->key().ToStringView(), rows->value().ToStringView())));
}

Result<std::optional<PackRow>> Database::find_pack(const PackId& pack) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = state_->db->Get({}, state_->family(Family::kPacks), slice(pack.span()), &value);
  if (got.IsNotFound()) return std::optional<PackRow>();
  TRY(to_status(got));
  return std::optional(TRY(decode_pack_row(value.ToStringView())));
}

Status Database::each_pack(const std::function<void(const PackId&, const PackRow&)>& visit) const {
  const auto rows = state_->scan(Family::kPacks, false);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const PackId pack = TRY(pack_of(rows->key()));
    visit(pack, TRY(decode_pack_row(rows->value().ToStringView())));
  }
  return to_status(rows->status());
}

Result<std::set<PackId>> Database::inventory() const {
  std::set<PackId> packs;
  const auto rows = state_->scan(Family::kPacks, false);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) packs.insert(packs.end(), TRY(pack_of(rows->key())));
  TRY(to_status(rows->status()));
  return packs;
}

std::uint64_t Database::estimated_hooks() const {
  std::uint64_t count = 0;
  state_->db->GetIntProperty(state_->family(Family::kHooks), rocksdb::DB::Properties::kEstimateNumKeys,
                             &count);
  return count;
}

}  // namespace ashlar
