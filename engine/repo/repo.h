// Repo: opens a store, recovers it, and wires its parts together. Nothing else.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/snapshots.h"
#include "document/store_config.h"
#include "index/index.h"
#include "io/local_object_store.h"
#include "repo/host_directory.h"
#include "repo/store_address.h"
#include "repo/store_reserve.h"
#include "store/damaged_frames.h"
#include "store/meta_store.h"
#include "store/parts.h"
#include "store/segments.h"

namespace ashlar {

struct InitOptions {
  std::uint32_t frame_blocks = 16;
  int level = 1;  // of zstd, 1 to 19
};

class Repo {
 public:
  // Makes a store in a new or an empty directory. Refuses anything else.
  static Result<StoreConfig> init(FileSystem& files, const StoreAddress& address, const InitOptions& options);

  // Opens the store at `address`, and finds the directory that this host has for it. Removes incoming files
  // that dead writers of this host left. Fails with kind kNotAStore where there is none. Where
  // check_writable() of the store's configuration fails, every change of an object fails so.
  static Result<std::unique_ptr<Repo>> open(FileSystem& files, const StoreAddress& address,
                                            const HostChoice& choice);
  ~Repo();
  // Opens the same store anew: it finds packs that other processes have published since.
  Result<std::unique_ptr<Repo>> open_again() const;

  const StoreAddress& address() const { return address_; }
  HostDirectory& host() { return *host_; }
  const HostDirectory& host() const { return *host_; }
  const StoreConfig& config() const { return config_; }
  ObjectStore& objects() { return *objects_; }
  SnapshotCatalog& snapshots() { return *snapshots_; }
  StoreReserve reserve() const;

  // The index, and what needs it, is opened and caught up with the packs when first asked for: operations
  // that need records only never pay for it.
  Result<Index*> index();
  Result<SegmentReader*> segments();
  Result<MetaStore*> nodes();
  Result<ReadParts> read_parts();
  Result<WriteParts> write_parts();
  Result<VerifyParts> verify_parts();
  // Returns lines about damage that reads of this repo have found since the last call.
  std::vector<std::string> take_damage_notes();
  // Throws the index away and makes it anew from the packs.
  Result<CatchUpReport> reindex();

 private:
  Repo() = default;
  Status open_index();

  FileSystem* files_ = nullptr;
  StoreAddress address_;
  HostChoice choice_;
  StoreConfig config_;
  std::optional<HostDirectory> host_;
  std::unique_ptr<ObjectStore> objects_;
  std::unique_ptr<SnapshotCatalog> snapshots_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<DamagedFrames> damage_;
  std::unique_ptr<SegmentReader> segments_;
  std::unique_ptr<MetaStore> nodes_;
};

}  // namespace ashlar
