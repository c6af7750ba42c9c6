// Objects as files below one directory, over the FileSystem seam.
//
// A new object is written to `incoming/<owner>-<number>` and synced, linked to its name (which never replaces
// one), the directory synced, and the incoming name removed. The owner is a random number that a store holds
// the lock `incoming/<owner>.lock` for while it or one of its writers lives. After a crash `incoming/` may
// hold files: nothing ever reads them, and clear_incoming() removes those whose owner's lock is free.
//
// replace() and remove() take turns, across processes, under `incoming/changes.lock`.
#pragma once

#include <memory>
#include <string>

#include "io/object_store.h"

namespace ashlar {

class LocalObjectStore : public ObjectStore {
 public:
  // `root` exists. `files` outlives the store.
  LocalObjectStore(FileSystem& files, std::string root);
  ~LocalObjectStore() override;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override;
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override;
  Result<ObjectInfo> stat(std::string_view key) override;
  Status ensure_durable(std::span<const std::string> keys) override;
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override;
  Status remove(std::string_view key) override;
  Status put_if_absent(std::string_view key, ByteSpan bytes) override;
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes) override;

  // Removes what interrupted writers left in incoming/. Safe beside living writers of any process of this
  // host.
  Status clear_incoming();

 private:
  struct State;
  class Writer;
  std::shared_ptr<State> state_;
};

}  // namespace ashlar
