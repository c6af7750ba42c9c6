#include "store/meta_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/pack_appender.h"
#include "store/place_errors.h"

namespace ashlar {
namespace {

constexpr std::size_t kLeaves = 4096;     // about 2 KB each
constexpr std::size_t kInnerNodes = 512;  // about 17 KB each
constexpr std::size_t kOpenPacks = 64;
constexpr std::size_t kKnownNodes = 65536;  // about 100 bytes each
constexpr std::size_t kReusedOpenPacks = 16;

}  // namespace

struct MetaStore::State {
  State(ObjectStore& o, Index& i, DamagedFrames* d) : objects(o), index(i), damage(d) {}

  ObjectStore& objects;
  Index& index;
  DamagedFrames* damage;
  std::mutex mutex;
  LruCache<NodeId, std::shared_ptr<const Leaf>, IdHash> leaves{kLeaves};
  LruCache<NodeId, std::shared_ptr<const InnerNode>, IdHash> inner_nodes{kInnerNodes};
  LruCache<PackId, std::shared_ptr<PackReader>, IdHash> packs{kOpenPacks};

  Result<std::shared_ptr<PackReader>> pack(const PackId& id) {
    {
      const std::lock_guard lock(mutex);
      if (auto* held = packs.get(id)) return *held;
    }
    auto opened = TRY(PackReader::open(objects, PackKind::kMeta, id));
    const std::lock_guard lock(mutex);
    packs.put(id, opened);
    return opened;
  }

  Result<ByteVector> read(const NodePlace& place) {
    if (damage != nullptr && damage->is_lost(place.pack, place.entry.id))
      return corrupt(
          fmt::format("pack {}, node {}: was given up as lost", place.pack.hex(), place.entry.id.hex()));
    const auto reader = TRY(pack(place.pack));
    auto encoding = reader->read_node(place.entry).with_context(pack_key(PackKind::kMeta, place.pack));
    if (damage != nullptr && is(encoding, ErrorCode::kCorrupt))
      damage->report(place.pack, place.entry.id, encoding.error().text());
    return encoding;
  }

  // Returns the places of a node, those that are known to be damaged last.
  Result<std::vector<NodePlace>> places(const NodeId& id) {
    auto places = TRY(index.node_places(id));
    if (damage != nullptr && damage->any())
      std::stable_partition(places.begin(), places.end(),
                            [&](const NodePlace& place) { return !damage->is_damaged(place.pack, id); });
    return places;
  }

  Result<ByteVector> encoding(const NodeId& id) {
    PlaceErrors errors;
    for (const bool caught_up : {false, true}) {
      if (caught_up) TRY(index.look_again(id));
      for (const NodePlace& place : TRY(places(id))) {
        auto bytes = read(place);
        if (bytes.ok()) return bytes;
        errors.note(bytes.take_error());
      }
    }
    if (errors.any()) return errors.decisive();
    return index.missing(fmt::format("manifest node {} is in no pack of this store", id.hex()));
  }

  template <class Node, class Decode>
  Result<std::shared_ptr<const Node>> get(LruCache<NodeId, std::shared_ptr<const Node>, IdHash>& cache,
                                          const NodeId& id, Decode decode) {
    {
      const std::lock_guard lock(mutex);
      if (auto* held = cache.get(id)) return *held;
    }
    const auto node = std::make_shared<const Node>(TRY(decode(TRY(encoding(id)))));
    const std::lock_guard lock(mutex);
    cache.put(id, node);
    return node;
  }
};

namespace {

template <class Node, class Decode>
Status remember(std::mutex& mutex, LruCache<NodeId, std::shared_ptr<const Node>, IdHash>& cache,
                ByteSpan encoding, Decode decode) {
  const auto node = std::make_shared<const Node>(TRY(decode(encoding)));
  const NodeId id = node_id(encoding);
  const std::lock_guard lock(mutex);
  cache.put(id, node);
  return {};
}

}  // namespace

MetaStore::MetaStore(ObjectStore& objects, Index& index, DamagedFrames* damage)
    : state_(std::make_unique<State>(objects, index, damage)) {}
MetaStore::~MetaStore() = default;

Result<std::shared_ptr<const Leaf>> MetaStore::leaf(const NodeId& id) {
  return state_->get(state_->leaves, id, decode_leaf);
}

Result<std::shared_ptr<const InnerNode>> MetaStore::inner(const NodeId& id) {
  return state_->get(state_->inner_nodes, id, decode_inner_node);
}

Status MetaStore::remember_leaf(ByteSpan encoding) {
  return remember(state_->mutex, state_->leaves, encoding, decode_leaf);
}

Status MetaStore::remember_inner(ByteSpan encoding) {
  return remember(state_->mutex, state_->inner_nodes, encoding, decode_inner_node);
}

MetaWriter::MetaWriter(ObjectStore& objects, Index& index, const StoreId& store, LeanedPacks& leaned,
                       std::function<Status()> data_is_published, DamagedFrames* damage)
    : objects_(objects),
      index_(index),
      store_(store),
      leaned_(leaned),
      data_is_published_(std::move(data_is_published)),
      damage_(damage),
      known_(kKnownNodes),
      open_packs_(kReusedOpenPacks) {}

MetaWriter::~MetaWriter() = default;

// Returns whether header and trailer of a pack are right. Otherwise new nodes may not lean on it: the present
// index still finds the pack, but an index that is rebuilt will not.
Result<bool> MetaWriter::is_whole(const PackId& pack) {
  if (damaged_packs_.contains(pack)) return false;
  if (open_packs_.get(pack) != nullptr) return true;
  auto opened = WholePackReader::open(objects_, PackKind::kMeta, pack);
  if (opened.ok()) {
    open_packs_.put(pack, opened.take());
    return true;
  }
  if (!is_not_to_rely_on(opened.error())) return opened.take_error();
  damaged_packs_.insert(pack);
  return false;
}

Result<bool> MetaWriter::may_lean_on(const NodePlace& place) {
  if (damage_ != nullptr && damage_->is_damaged(place.pack, place.entry.id)) return false;
  return is_whole(place.pack);
}

Result<bool> MetaWriter::is_in_whole_pack(const NodeId& id) {
  const std::lock_guard lock(mutex_);
  for (const NodePlace& place : TRY(index_.node_places(id))) {
    if (TRY(may_lean_on(place)) && TRY(leaned_.lean_on(PackKind::kMeta, place.pack))) return true;
  }
  return false;
}

// Returns whether a sound pack has the node. It is read: a node that has rotted is written again.
Result<bool> MetaWriter::is_stored(const NodeId& id) {
  const std::lock_guard lock(mutex_);
  if (known_.get(id) != nullptr) return true;
  for (const NodePlace& place : TRY(index_.node_places(id))) {
    if (!TRY(may_lean_on(place))) continue;
    const auto node = (*open_packs_.get(place.pack))->read_node(place.entry);
    if (node.ok()) {
      if (!TRY(leaned_.lean_on(PackKind::kMeta, place.pack))) continue;
      known_.put(id, true);
      return true;
    }
    if (!is_not_to_rely_on(node.error())) return node.error();
  }
  return false;
}

Status MetaWriter::put(const NodeId& id, ByteSpan encoding) {
  if (open_.contains(id) || TRY(is_stored(id))) return {};
  if (!pack_) pack_ = TRY(MetaPackWriter::create(objects_, store_, leaned_.session()));
  TRY(pack_->append(id, encoding));
  open_.insert(id);
  known_.put(id, true);
  ++nodes_written_;
  bytes_written_ += encoding.size();
  if (pack_->bytes() >= kPackBytes) return publish();
  return {};
}

Status MetaWriter::publish() {
  TRY(data_is_published_());
  TRY(pack_->finish());
  TRY(index_.add_meta_pack(pack_->id(), pack_->entries()));
  pack_.reset();
  open_.clear();
  return {};
}

Status MetaWriter::finish() {
  if (!pack_) return {};
  return publish();
}

}  // namespace ashlar
