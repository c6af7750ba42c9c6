#include "store/meta_store.h"

#include <fmt/format.h>

#include "store/pack_appender.h"

namespace ashlar {
namespace {

constexpr std::size_t kLeaves = 4096;     // about 2 KB each
constexpr std::size_t kInnerNodes = 512;  // about 17 KB each
constexpr std::size_t kOpenPacks = 64;

}  // namespace

struct MetaStore::State {
  State(ObjectStore& o, Index& i) : objects(o), index(i) {}

  ObjectStore& objects;
  Index& index;
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

  Result<ByteVector> encoding(const NodeId& id) {
    const auto place = TRY(index.find_node(id));
    if (!place) return corrupt(fmt::format("manifest node {} is in no pack of this store", id.hex()));
    const auto reader = TRY(pack(place->pack));
    return reader->read_node(place->entry).with_context(pack_key(PackKind::kMeta, place->pack));
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

MetaStore::MetaStore(ObjectStore& objects, Index& index) : state_(std::make_unique<State>(objects, index)) {}
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

MetaWriter::MetaWriter(ObjectStore& objects, Index& index, const StoreId& store, const SessionId& session,
                       std::function<Status()> data_is_published)
    : objects_(objects),
      index_(index),
      store_(store),
      session_(session),
      data_is_published_(std::move(data_is_published)),
      packs_(kOpenPacks) {}

MetaWriter::~MetaWriter() = default;

std::set<PackId> MetaWriter::reused_packs() const {
  const std::lock_guard lock(mutex_);
  return reused_packs_;
}

// Returns the pack, or null when its header or trailer is damaged: then new nodes must not rely on it.
Result<MetaWriter::Pack> MetaWriter::whole_pack(const PackId& id) {
  const std::lock_guard lock(mutex_);
  if (const Pack* held = packs_.get(id)) return *held;
  if (damaged_packs_.contains(id)) return Pack();
  auto opened = WholePackReader::open(objects_, PackKind::kMeta, id);
  if (is(opened, ErrorCode::kCorrupt) || is(opened, ErrorCode::kNotFound)) {
    damaged_packs_.insert(id);
    return Pack();
  }
  const Pack pack = TRY(std::move(opened));
  packs_.put(id, pack);
  reused_packs_.insert(id);
  return pack;
}

Result<bool> MetaWriter::is_in_whole_pack(const NodeId& id) {
  const auto place = TRY(index_.find_node(id));
  return place && TRY(whole_pack(place->pack)) != nullptr;
}

// Returns whether the node can be read from a whole pack. The index is not asked alone: it knows where the
// node was written, and not what has become of its bytes.
Result<bool> MetaWriter::is_stored(const NodeId& id) {
  const auto place = TRY(index_.find_node(id));
  if (!place) return false;
  const Pack pack = TRY(whole_pack(place->pack));
  if (pack == nullptr) return false;
  auto encoding = pack->read_node(place->entry);
  if (is(encoding, ErrorCode::kCorrupt)) return false;
  TRY(std::move(encoding));
  return true;
}

Status MetaWriter::put(const NodeId& id, ByteSpan encoding) {
  if (open_.contains(id)) return {};
  if (TRY(is_stored(id))) return {};
  if (!pack_) pack_ = TRY(MetaPackWriter::create(objects_, store_, session_));
  TRY(pack_->append(id, encoding));
  open_.insert(id);
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
