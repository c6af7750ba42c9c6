#include "catalog/collections.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/random.h"

namespace ashlar {
namespace {

Error with_way_out(Error error) {
  return error.code() == ErrorCode::kCorrupt ? error.about(ErrorKind::kRecordDamaged, "collection") : error;
}

}  // namespace

std::string CollectionCatalog::key_of(std::uint64_t epoch, const Nonce& list) {
  return fmt::format("{}{}-{}", kFolder, epoch, list.hex());
}

Result<CollectionState> CollectionCatalog::state() const {
  const auto bytes = get_object(objects_, kStateKey, kMaxCollectionStateBytes);
  if (is(bytes, ErrorCode::kNotFound)) return CollectionState();
  if (!bytes.ok()) return with_way_out(bytes.error());
  auto state = decode_collection_state(bytes.value()).with_context(kStateKey);
  return state.ok() ? state : with_way_out(state.take_error());
}

Result<CollectionState> CollectionCatalog::advance(const CollectionState& before, CollectionState now) {
  now.revision = before.revision + 1;
  now.nonce = random_id<Nonce>();
  Status done = before.revision == 0 ? objects_.put_if_absent(kStateKey, encode(now))
                                     : objects_.replace(kStateKey, encode(before), encode(now));
  if (!done.ok()) {
    const auto found = state();
    if (!found.ok()) return std::move(done).with_context(kStateKey).take_error();
    if (found.value() == now) return now;  // the answer was lost
    if (found.value() != before) return busy("another program collects this store");
    return std::move(done).with_context(kStateKey).take_error();
  }
  return now;
}

Result<Nonce> CollectionCatalog::put_list(const PackList& list) {
  const Nonce name = random_id<Nonce>();
  TRY(objects_.put_if_absent(key_of(list.epoch, name), encode(list)));
  return name;
}

Result<PackList> CollectionCatalog::list_of(const CollectionState& state) const {
  const std::string key = key_of(state.epoch, state.list);
  const auto bytes = get_object(objects_, key, kMaxPackListBytes);
  if (!bytes.ok()) return bytes.error();
  auto list = decode_pack_list(bytes.value()).with_context(key);
  if (!list.ok()) return with_way_out(list.take_error());
  if (list.value().epoch != state.epoch || list.value().store != state.store)
    return with_way_out(corrupt(fmt::format("{}: is the list of another collection", key)));
  return list;
}

Result<std::string> CollectionCatalog::reset(const StoreId& store) {
  const auto before = state();
  Status wrong = before.ok() ? Status() : Status(before.error());
  if (before.ok() && before.value().phase != CollectionPhase::kIdle) {
    const auto list = list_of(before.value());
    if (!list.ok()) wrong = list.error();
  }
  if (wrong.ok()) return invalid("the state of the collection is not damaged");
  if (!is(wrong, ErrorCode::kCorrupt)) return wrong.take_error();
  const ByteVector bytes = TRY(get_object(objects_, kStateKey, std::size_t{1} << 20U));
  CollectionState idle;
  idle.store = store;
  idle.revision = UtcTime::now().unix_ns;  // one that no earlier version had
  idle.nonce = random_id<Nonce>();
  idle.epoch = std::max<std::uint64_t>(UtcTime::now().unix_ns, before.ok() ? before.value().epoch + 1 : 0);
  TRY(objects_.replace(kStateKey, bytes, encode(idle)));
  return wrong.error().text();
}

Status CollectionCatalog::remove_old_lists(const CollectionState& state) {
  std::vector<std::string> old;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const std::string_view name = std::string_view(object.key).substr(kFolder.size());
    std::uint64_t epoch = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
    const bool is_list = error == std::errc() && end != name.data() + name.size() && *end == '-';
    if (is_list && epoch <= state.epoch && object.key != key_of(state.epoch, state.list))
      old.push_back(object.key);
    return {};
  }));
  for (const std::string& key : old) TRY(remove_if_there(objects_, key));
  return {};
}

}  // namespace ashlar
