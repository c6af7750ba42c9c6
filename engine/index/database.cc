#include "index/database.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/random.h"
#include "index/database_errors.h"
#include "index/database_options.h"

namespace ashlar {
namespace {

using rocksdb::Slice;

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kIdentityKey = "identity";
constexpr int kManyNewFiles = 8;  // in level 0 of a family; RocksDB delays writes from 20 on

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
  std::string identity;
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
  // Writes format and identity to a new database; refuses a database of another format.
  Status check_format(std::string_view format);
  // Moves `rows` to the first row from its present one on that starts with `prefix` and lies in a pack that
  // is not masked. Returns whether there is one.
  Result<bool> at_place(rocksdb::Iterator& rows, ByteSpan prefix, const std::set<PackId>& masked) const;
  // Returns what `decode` makes of each row of `which` that starts with `id` and lies in a pack that is not
  // masked.
  template <class Place, class Id>
  Result<std::vector<Place>> places(Family which, const Id& id, const std::set<PackId>& masked,
                                    Result<Place> (*decode)(std::string_view, std::string_view)) const {
    std::vector<Place> found;
    const auto rows = scan(which, true);
    for (rows->Seek(slice(id.span())); TRY(at_place(*rows, id.span(), masked)); rows->Next())
      found.push_back(TRY(decode(rows->key().ToStringView(), rows->value().ToStringView())));
    return found;
  }
};

Status Database::State::check_format(std::string_view format) {
  std::string found;
  const rocksdb::Status got = db->Get({}, family(Family::kDefault), slice(kFormatKey), &found);
  if (got.ok() && found == format)
    return to_status(db->Get({}, family(Family::kDefault), slice(kIdentityKey), &identity));
  if (!got.ok() && !got.IsNotFound()) return error_of(got);
  const auto packs = scan(Family::kPacks, false);
  packs->SeekToFirst();
  TRY(to_status(packs->status()));
  if (got.ok() || packs->Valid() || !writable) return corrupt("index: of another format");
  identity = random_id<StoreId>().hex();
  rocksdb::WriteBatch batch;
  TRY(to_status(batch.Put(family(Family::kDefault), slice(kFormatKey), slice(format))));
  TRY(to_status(batch.Put(family(Family::kDefault), slice(kIdentityKey), slice(identity))));
  return write(batch);
}

Result<bool> Database::State::at_place(rocksdb::Iterator& rows, ByteSpan prefix,
                                       const std::set<PackId>& masked) const {
  const Slice wanted = slice(prefix);
  for (; rows.Valid() && rows.key().starts_with(wanted); rows.Next()) {
    if (rows.key().size() != SegmentId::kBytes + PackId::kBytes)
      return corrupt("index: a key of the wrong length");
    PackId pack;
    std::memcpy(pack.bytes.data(), rows.key().data() + SegmentId::kBytes, PackId::kBytes);
    if (!masked.contains(pack)) return true;
  }
  TRY(to_status(rows.status()));
  return false;
}

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Mode mode,
                                                 std::string_view format) {
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
  TRY(state->check_format(format));
  return std::unique_ptr<Database>(new Database(std::move(state)));
}

const std::string& Database::identity() const { return state_->identity; }

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
  TRY(to_status(batch.Put(state_->family(Family::kInventory), slice(rows.pack.span()),
                          encode_inventory_row(rows.row.kind))));
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
  TRY(to_status(batch.Delete(state_->family(Family::kInventory), slice(pack.span()))));
  return state_->write(batch);
}

Status Database::flush() {
  if (!state_->writable) return {};
  return to_status(state_->db->Flush({}, state_->families));
}

void Database::settle() const {
  const auto has_many = [&](rocksdb::ColumnFamilyHandle* family) {
    std::string files;
    state_->db->GetProperty(family, rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0", &files);
    return std::atoi(files.c_str()) >= kManyNewFiles;  // NOLINT(cert-err34-c): the text is RocksDB's own
  };
  const auto end = std::chrono::steady_clock::now() + kSettleTime;
  while (std::ranges::any_of(state_->families, has_many) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
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
    rows->Seek(wanted);
    if (!TRY(state_->at_place(*rows, as_byte_span(wanted), masked))) continue;
    std::memcpy(ids[prefix].bytes.data(), rows->key().data(), SegmentId::kBytes);
  }
  return ids;
}

Result<std::vector<SegmentPlace>> Database::segment_places(const SegmentId& id,
                                                           const std::set<PackId>& masked) const {
  return state_->places<SegmentPlace>(Family::kSegments, id, masked, decode_segment_place);
}

Result<std::vector<NodePlace>> Database::node_places(const NodeId& id, const std::set<PackId>& masked) const {
  return state_->places<NodePlace>(Family::kNodes, id, masked, decode_node_place);
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

Result<std::vector<InventoryEntry>> Database::inventory() const {
  std::vector<InventoryEntry> packs;
  const auto rows = state_->scan(Family::kInventory, false);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next())
    packs.push_back({TRY(pack_of(rows->key())), TRY(decode_inventory_row(rows->value().ToStringView()))});
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
