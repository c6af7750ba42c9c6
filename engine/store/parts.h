// The narrow parts of an open store that operations take, so that none needs the whole of it. Repo hands them
// out; what they refer to lives as long as the Repo.
#pragma once

namespace ashlar {

class DamagedFrames;
class Index;
class MetaStore;
class NodeReader;
class ObjectStore;
class SegmentReader;
class SnapshotCatalog;
struct StoreConfig;

// Parts for reading a snapshot: restore, compare, export, copy from.
struct ReadParts {
  SegmentReader& segments;
  NodeReader& nodes;
};

// Parts for publishing a snapshot: capture, copy to, import.
struct WriteParts {
  const StoreConfig& config;
  ObjectStore& objects;
  Index& index;  // caught up
  SegmentReader& segments;
  MetaStore& nodes;
  SnapshotCatalog& snapshots;
  DamagedFrames& damage;
};

// Parts for verifying.
struct VerifyParts {
  const StoreConfig& config;
  ObjectStore& objects;
  Index& index;
  SnapshotCatalog& snapshots;
  DamagedFrames& damage;
};

}  // namespace ashlar
