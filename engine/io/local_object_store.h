// LocalObjectStore: objects as files below one directory, through the FileSystem interface.
//
// A new object is written to `incoming/<owner>-<number>` and synced. Then it is linked to its name (a link
// never replaces a file), the directory is synced, and the incoming name is removed. The owner is a random
// number; a store holds the lock `incoming/<owner>.lock` while the store or one of its writers lives. After a
// crash `incoming/` may hold files. They are never read, and clear_incoming() removes those whose owner's
// lock is free.
//
// replace() and remove() of all processes take turns under the lock `incoming/changes.lock`.
#pragma once

#include <memory>
#include <string>

#include "io/object_store.h"

namespace ashlar {

class LocalObjectStore : public ObjectStore {
 public:
  // Opens the store in the existing directory `root`. `files` must outlive the store and its writers.
  LocalObjectStore(FileSystem& files, std::string root);
  ~LocalObjectStore() override;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override;
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override;
  Result<ObjectInfo> stat(std::string_view key) override;
  Status ensure_durable(std::span<const std::string> keys) override;
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override;
  using ObjectStore::put_if_absent;
  using ObjectStore::remove;
  using ObjectStore::replace;
  Status remove(std::string_view key, Lasts lasts) override;
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override;
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override;
  Result<bool> needs_one_host() override;

  // Removes what interrupted writers left in incoming/. Safe while writers of any process of this host are
  // active.
  Status clear_incoming();

 private:
  struct State;
  class Writer;
  std::shared_ptr<State> state_;
};

}  // namespace ashlar
