// MetaStore and MetaWriter: manifest nodes in meta packs, a reader with a cache and a writer for one session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "base/lru_cache.h"
#include "index/index.h"
#include "pack/leaned_packs.h"
#include "pack/pack_store.h"
#include "store/damaged_frames.h"
#include "store/node_store.h"

namespace ashlar {

// Reads nodes by id and checks each encoding against its id. Decoded nodes are cached (bounded). When a node
// can't be had from one pack, the next that holds it is tried, as SegmentReader does. Places that are known
// to be damaged are tried last, and what a read finds wrong is recorded. Any number of threads.
class MetaStore : public NodeReader {
 public:
  // `damage` may be null: then nothing is known to be damaged.
  MetaStore(ObjectStore& objects, Index& index, DamagedFrames* damage = nullptr);
  ~MetaStore() override;
  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override;
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override;
  // Decodes and caches an encoding that was not read from a meta pack, under the id computed from its bytes.
  Status remember_leaf(ByteSpan encoding);
  Status remember_inner(ByteSpan encoding);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Writes the nodes of one capture. A node that a published, whole meta pack holds is not written again; it is
// read from there and checked first, once in a session (for the last 65536 nodes). A place that is known to
// be damaged does not count.
//
// A meta pack must not be published before the data packs that its leaves refer to: a later capture may find
// a node by its id and trust it. Therefore `data_is_published` is called before each pack is finished; it
// returns ok once every segment sealed so far is in a published pack. One thread, except where a function
// says more.
class MetaWriter : public NodeWriter {
 public:
  // `leaned` names the session, and so the packs.
  MetaWriter(ObjectStore& objects, Index& index, const StoreId& store, LeanedPacks& leaned,
             std::function<Status()> data_is_published, DamagedFrames* damage = nullptr);
  ~MetaWriter() override;
  Status put(const NodeId& id, ByteSpan encoding) override;
  // Publishes the open pack, if any.
  Status finish();
  // Returns whether a published meta pack with a sound header and trailer holds the node, and may be leaned
  // on, so that new nodes may name it. Does not read the node. When the ends are damaged, the present index
  // still finds the pack, but an index that is rebuilt will not. Any thread.
  Result<bool> is_in_whole_pack(const NodeId& id);

  std::uint64_t nodes_written() const { return nodes_written_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  Status publish();
  Result<bool> is_whole(const PackId& pack);
  Result<bool> may_lean_on(const NodePlace& place);
  Result<bool> is_stored(const NodeId& id);

  ObjectStore& objects_;
  Index& index_;
  StoreId store_;
  LeanedPacks& leaned_;
  std::function<Status()> data_is_published_;
  DamagedFrames* damage_;
  std::unique_ptr<MetaPackWriter> pack_;
  std::set<NodeId> open_;     // ids in the pack being written
  mutable std::mutex mutex_;  // of the members below it, up to damaged_packs_
  LruCache<NodeId, bool, IdHash> known_;
  LruCache<PackId, std::shared_ptr<PackReader>, IdHash> open_packs_;  // whole ones
  std::set<PackId> damaged_packs_;
  std::uint64_t nodes_written_ = 0;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace ashlar
