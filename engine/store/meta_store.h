// Manifest nodes in meta packs: a reader with a cache, and a writer for one session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include "index/index.h"
#include "pack/pack_store.h"
#include "store/node_store.h"

namespace ashlar {

// Reads nodes by id; every encoding is checked against its id. Decoded nodes are cached (bounded). Any
// threads.
class MetaStore : public NodeReader {
 public:
  MetaStore(ObjectStore& objects, Index& index);
  ~MetaStore() override;
  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override;
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override;
  // Takes an encoding that came another way into the cache, under the id that its bytes have.
  Status remember_leaf(ByteSpan encoding);
  Status remember_inner(ByteSpan encoding);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Writes the nodes of one capture. A node that a published, whole meta pack holds is not written again.
//
// A meta pack must not be published before the data packs that its leaves refer to: a later capture may find
// a node by its id and trust it. So `data_is_published` is called before each pack is finished, and returns
// ok once every segment sealed so far is in a published pack. One thread.
class MetaWriter : public NodeWriter {
 public:
  MetaWriter(ObjectStore& objects, Index& index, const StoreId& store,
             std::function<Status()> data_is_published);
  ~MetaWriter() override;
  Status put(const NodeId& id, ByteSpan encoding) override;
  // Publishes what is left.
  Status finish();

  std::uint64_t nodes_written() const { return nodes_written_; }
  std::uint64_t bytes_written() const { return bytes_written_; }
  // Meta packs of older sessions that nodes were found in.
  const std::set<PackId>& reused_packs() const { return reused_packs_; }

 private:
  Status publish();
  Result<bool> may_lean_on(const PackId& pack);

  ObjectStore& objects_;
  Index& index_;
  StoreId store_;
  std::function<Status()> data_is_published_;
  std::unique_ptr<MetaPackWriter> pack_;
  std::set<NodeId> open_;  // ids in the pack being written
  std::set<PackId> reused_packs_;
  std::set<PackId> damaged_packs_;
  std::uint64_t nodes_written_ = 0;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace ashlar
