// NodeReader and NodeWriter: reading manifest nodes by id, and writing new ones. MetaStore and MetaWriter
// (store/meta_store.h) keep them in meta packs; tests keep them in memory.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "format/node_format.h"

namespace ashlar {

// Reads decoded, checked nodes. The implementation caches them. Any number of threads.
class NodeReader {
 public:
  NodeReader() = default;
  NodeReader(const NodeReader&) = delete;
  NodeReader& operator=(const NodeReader&) = delete;
  virtual ~NodeReader() = default;
  virtual Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) = 0;
  virtual Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) = 0;
};

// Takes encoded nodes. Putting a node that is stored already writes no second copy. One thread.
class NodeWriter {
 public:
  NodeWriter() = default;
  NodeWriter(const NodeWriter&) = delete;
  NodeWriter& operator=(const NodeWriter&) = delete;
  virtual ~NodeWriter() = default;
  virtual Status put(const NodeId& id, ByteSpan encoding) = 0;
};

}  // namespace ashlar
