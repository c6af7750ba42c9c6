// The narrow parts of an open store that operations take, so that none needs the whole of it. Repo hands them
// out; what they refer to lives as long as the Repo.
#pragma once

namespace ashlar {

class Index;
class MetaStore;
class NodeReader;
class ObjectStore;
class SegmentReader;
class SnapshotCatalog;
struct StoreConfig;

// What reading a snapshot takes: restore, compare, export, copy from.
struct ReadParts {
  SegmentReader& segments;
  NodeReader& nodes;
};

// What publishing a snapshot takes: capture, copy to, import.
struct WriteParts {
  const StoreConfig& config;
  ObjectStore& objects;
  Index& index;  // caught up
  SegmentReader& segments;
  MetaStore& nodes;
  SnapshotCatalog& snapshots;
};

// What verifying takes.
struct VerifyParts {
  const StoreConfig& config;
  ObjectStore& objects;
  Index& index;
  SnapshotCatalog& snapshots;
};

}  // namespace ashlar
