// ObjectStore: the interface through which packs and records reach storage.
//
// An object is a key and bytes that appear whole or not at all. Keys are relative, '/'-separated, and made of
// [A-Za-z0-9._-]. Nothing above this interface may assume a path, a rename, an append to a published object,
// a cheap list, or low latency. LocalObjectStore keeps objects as files of a directory.
//
// When a call that publishes or removes returns ok, its effect is durable, unless the caller asked for less.
// All calls may be made from any thread; an ObjectWriter belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "io/file_system.h"

namespace ashlar {

// A new object that is being written. Others see the object only after finish(); an object that is destroyed
// unfinished never existed. The first failure poisons the writer: nothing is tried a second time and nothing
// is published.
class ObjectWriter {
 public:
  ObjectWriter() = default;
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;
  virtual ~ObjectWriter() = default;
  virtual Status append(ByteSpan bytes) = 0;
  // Makes the bytes durable, then the name. Returns kBusy when an object of this key exists.
  virtual Status finish() = 0;
};

class ObjectReader {
 public:
  ObjectReader() = default;
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;
  virtual ~ObjectReader() = default;
  // Fills `out` from `offset` on. Fails with kCorrupt when the object ends before.
  virtual Status read_at(std::uint64_t offset, MutableByteSpan out) const = 0;
  virtual std::uint64_t size() const = 0;
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;  // kUnknownSize in a list, where it can't be had
};
inline constexpr std::uint64_t kUnknownSize = ~std::uint64_t{0};

// How long the effect of a call lasts.
enum class Lasts : unsigned char {
  kForEver,  // durable when the call returns
  // A loss of power may undo it: for what only a running program needs. The object's bytes are whole whenever
  // it is there.
  kWhilePowered,
};

class ObjectStore {
 public:
  ObjectStore() = default;
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;
  virtual ~ObjectStore() = default;

  virtual Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) = 0;
  virtual Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) = 0;
  // Returns kNotFound when the object does not exist.
  virtual Result<ObjectInfo> stat(std::string_view key) = 0;
  // Returns ok when all of the objects exist and will survive a loss of power. An object of another writer
  // can be seen shortly before it is durable, so a caller that builds on an object asks first. Returns
  // kNotFound when one is missing. A folder ("images/") stands for everything that was put, replaced and
  // removed in it: a caller asks for that before it relies on what is not there.
  virtual Status ensure_durable(std::span<const std::string> keys) = 0;
  // Calls `visit` for every object whose key starts with the folder `prefix` ("packs/"), sorted by key. An
  // object that can't be looked at is among them, with kUnknownSize: it hides no other.
  virtual Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) = 0;
  Status remove(std::string_view key) { return remove(key, Lasts::kForEver); }
  virtual Status remove(std::string_view key, Lasts lasts) = 0;
  // Creates a small object, only if the key is free. Returns kBusy otherwise.
  Status put_if_absent(std::string_view key, ByteSpan bytes) {
    return put_if_absent(key, bytes, Lasts::kForEver);
  }
  virtual Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) = 0;
  // Replaces a small object, only if its bytes are still `expected`. Returns kBusy otherwise, and kNotFound
  // when it does not exist any longer. After any other error the object may have been replaced, or may be
  // replaced later: the caller looks.
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes) {
    return replace(key, expected, bytes, Lasts::kForEver);
  }
  virtual Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) = 0;
  // Returns whether a writer of another host may replace an object although this host has just done so: on a
  // network file system a lost lock does not stop a rename. Then one host at a time may write.
  virtual Result<bool> needs_one_host() { return false; }
};

// Removes an object; returns ok when it does not exist.
Status remove_if_there(ObjectStore& objects, std::string_view key);

// Reads a whole object of at most `limit` bytes. Returns kCorrupt when it is larger.
Result<ByteVector> get_object(ObjectStore& objects, std::string_view key, std::uint64_t limit,
                              ReadMode mode = ReadMode::kCached);

}  // namespace ashlar
