// Repo: opens a store, recovers it, and wires its parts together. Nothing else.
#pragma once

#include <memory>
#include <string>

#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "index/index.h"
#include "io/local_object_store.h"
#include "store/meta_store.h"
#include "store/segments.h"

namespace ashlar {

struct InitOptions {
  std::uint32_t frame_blocks = 16;
  int level = 1;  // of zstd, 1 to 19
};

class Repo {
 public:
  // Makes a store in `path`: a new or an empty directory. Refuses anything else.
  static Result<StoreConfig> init(FileSystem& files, const std::string& path, const InitOptions& options);

  // Opens the store in `path`. What dead writers of this host left (session records, incoming files) is
  // removed.
  static Result<std::unique_ptr<Repo>> open(FileSystem& files, const std::string& path);
  ~Repo();

  const std::string& path() const { return path_; }
  const StoreConfig& config() const { return config_; }
  ObjectStore& objects() { return *objects_; }
  SnapshotCatalog& snapshots() { return *snapshots_; }

  // Opened, and caught up with the packs, when first asked for: verbs that need records only never pay for
  // it.
  Result<Index*> index();
  Result<SegmentReader*> segments();
  Result<MetaStore*> nodes();
  // Throws the index away and makes it anew from the packs.
  Result<CatchUpReport> reindex();

 private:
  Repo() = default;
  Status open_index();

  FileSystem* files_ = nullptr;
  std::string path_;
  StoreConfig config_;
  std::unique_ptr<LocalObjectStore> objects_;
  std::unique_ptr<SnapshotCatalog> snapshots_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<SegmentReader> segments_;
  std::unique_ptr<MetaStore> nodes_;
};

}  // namespace ashlar
