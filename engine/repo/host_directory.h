// HostDirectory: what this host keeps for one store: index, overlays of volumes, machines, attachments, and
// scratch files. Page: docs/format/host.md.
//
//   <path>/host.json      whose it is (document/host_record.h)
//          index/         RocksDB, a cache of where things are in packs
//          overlays/      the blocks that volumes of this host hold themselves, and their server's sockets
//          attachments/   volumes attached as block devices
//          instances/     machines
//          sources        of which source each snapshot is, a cache (catalog/source_list.h)
//          scratch/       files of operations that run; each loses its name as soon as it is open
//          torn/          overlays of a copied store that were open when it was copied, and notes of machines
//
// For a store in a directory the path is <store>/host/<host id>/, unless another is chosen. host.json ties it
// to the store's id and to the place of the store's directory: file system and inode. A store that was moved
// keeps its place. A copied one does not, though it carries its original's host directory along: then the
// state there is the original's, its processes and devices too, and is not used until claim().
//
// No other code spells these names.
#pragma once

#include <optional>
#include <string>

#include "base/id.h"
#include "document/host_record.h"
#include "io/file_system.h"
#include "repo/store_address.h"

namespace ashlar {

// How a process finds its host directory.
struct HostChoice {
  std::string directory;  // empty: <store>/host/<host id>
  HostId host;            // zero: this_host()
  // The index is kept in memory and nothing is written before make(): for stores on a disk that RocksDB,
  // which does its own I/O, can't reach.
  bool index_in_memory = false;
};

// Identifies this host by the digest of /etc/machine-id, or of the host's name where there is none.
HostId this_host();

class HostDirectory {
 public:
  enum class Owner : unsigned char {
    kUs,
    kNoOne,     // there is none yet; make() makes it
    kOriginal,  // the store is a copy, and this came along; or it is unknown whose this is
  };

  // Finds the directory of this host for a store. Makes nothing. Fails with kInvalid for a chosen directory
  // that is another store's or another host's. A damaged host.json, and one that is missing beside volumes or
  // machines, makes them the original's: it is unknown whose they are.
  static Result<HostDirectory> find(FileSystem& files, const StoreAddress& store, const StoreId& id,
                                    const HostChoice& choice);

  const std::string& path() const { return path_; }
  // Returns what host.json says; what it will say while there is none. Its directory is empty where it is
  // unknown whose state this is.
  const HostRecord& record() const { return record_; }
  Owner owner() const { return owner_; }
  FileSystem& files() const { return *files_; }
  // Returns whether the index may be opened in index(): the directory is ours, or can be.
  bool keeps_index() const { return !index_in_memory_ && owner_ != Owner::kOriginal; }

  // Fails with kInvalid, kind kStoreIsCopy, when the volumes and machines in the directory are the
  // original's.
  Status check_not_original() const;
  // Makes the directory, durably, if there is none. Fails like check_not_original().
  Status make();
  // Fails with kInvalid when the directory lies outside of the copied store and its original is still there:
  // then it is the original's own and did not come along with the copy.
  Status check_came_along() const;
  // Makes what lies here this store's own from now on. For adopting a copy, once all that is only the
  // original's is gone from the directory (host/adopt.h).
  Status claim();

  std::string index() const { return path_ + "/index"; }
  std::string overlays() const { return path_ + "/overlays"; }
  std::string overlay(VolumeId id) const { return overlays() + "/" + id.text(); }
  std::string attachments() const { return path_ + "/attachments"; }
  std::string instances() const { return path_ + "/instances"; }
  std::string scratch() const { return path_ + "/scratch"; }
  // The file of the source list (catalog/source_list.h).
  std::string sources() const { return path_ + "/sources"; }
  // Overlays that adopting a copy took out of use: they may be torn.
  std::string torn() const { return path_ + "/torn"; }
  std::string torn(VolumeId id) const { return torn() + "/" + id.text(); }
  std::string torn(InstanceId id) const { return torn() + "/" + id.text(); }

  // Returns the volume whose overlay is in the directory `folder`, if it is one of these.
  Result<std::optional<VolumeId>> volume_in(const std::string& folder) const;
  // Returns whether the directory `folder` is an overlay that adopting a copy set aside.
  bool is_torn_overlay(const std::string& folder) const;
  // Makes the folder of `path` (one of the above), durably.
  Status make_folder(const std::string& path);

 private:
  HostDirectory(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}

  Status check_names_us() const;
  Status publish_record();

  FileSystem* files_;
  std::string path_;
  HostRecord us_;      // what host.json says once the directory is ours
  HostRecord record_;  // what it says
  Owner owner_ = Owner::kNoOne;
  bool index_in_memory_ = false;
};

}  // namespace ashlar
