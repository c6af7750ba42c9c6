// MemoryNodes: manifest nodes in memory, with counts of the calls.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/bytes.h"
#include "format/node_format.h"
#include "store/node_store.h"

namespace ashlar {

class MemoryNodes : public NodeReader, public NodeWriter {
 public:
  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override {
    ++leaf_reads;
    return std::make_shared<const Leaf>(TRY(decode_leaf(TRY(find(id)))));
  }
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override {
    ++inner_reads;
    return std::make_shared<const InnerNode>(TRY(decode_inner_node(TRY(find(id)))));
  }
  Status put(const NodeId& id, ByteSpan encoding) override {
    ++puts;
    if (puts > fail_after) return Error(ErrorCode::kExhausted, "no room for another node");
    if (nodes_.try_emplace(id, encoding.begin(), encoding.end()).second) bytes += encoding.size();
    return {};
  }

  // Stores a node as it is, canonical or not, and returns its id.
  template <class Node>
  NodeId store(const Node& node) {
    const ByteVector encoding = encode(node);
    nodes_.try_emplace(node_id(encoding), encoding);
    return node_id(encoding);
  }
  void forget(const NodeId& id) { nodes_.erase(id); }
  std::size_t size() const { return nodes_.size(); }
  std::uint64_t reads() const { return leaf_reads + inner_reads; }

  std::uint64_t leaf_reads = 0;
  std::uint64_t inner_reads = 0;
  std::uint64_t puts = 0;                 // calls of put, repeated nodes included
  std::uint64_t bytes = 0;                // encoded bytes, each distinct node once
  std::uint64_t fail_after = UINT64_MAX;  // puts that succeed before all others fail

 private:
  Result<ByteSpan> find(const NodeId& id) const {
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) return not_found("no manifest node " + id.hex());
    return ByteSpan(found->second);
  }
  std::unordered_map<NodeId, ByteVector, IdHash> nodes_;
};

}  // namespace ashlar
