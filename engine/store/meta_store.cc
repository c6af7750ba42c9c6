#include "store/meta_store.h"

#include <fmt/format.h>

#include <mutex>

#include "base/lru_cache.h"
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
      data_is_published_(std::move(data_is_published)) {}

MetaWriter::~MetaWriter() = default;

// Returns whether new nodes may rely on a node in this pack. They may not when its header or trailer is
// damaged: the present index still finds the pack, but an index that is rebuilt will not.
Result<bool> MetaWriter::may_lean_on(const PackId& pack) {
  if (reused_packs_.contains(pack)) return true;
  if (damaged_packs_.contains(pack)) return false;
  const auto opened = WholePackReader::open(objects_, PackKind::kMeta, pack);
  const bool gone = !opened.ok() && (opened.error().code() == ErrorCode::kCorrupt ||
                                     opened.error().code() == ErrorCode::kNotFound);
  if (!opened.ok() && !gone) return opened.error();
  (gone ? damaged_packs_ : reused_packs_).insert(pack);
  return !gone;
}

Status MetaWriter::put(const NodeId& id, ByteSpan encoding) {
  if (open_.contains(id)) return {};
  const auto place = TRY(index_.find_node(id));
  if (place && TRY(may_lean_on(place->pack))) return {};
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
