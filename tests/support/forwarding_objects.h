// ForwardingObjects: an object store that passes every call on to another one. A test derives from it and
// overrides the calls that it watches or breaks.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "io/object_store.h"

namespace ashlar {

class ForwardingObjects : public ObjectStore {
 public:
  explicit ForwardingObjects(ObjectStore& inner) : inner_(inner) {}
  using ObjectStore::put_if_absent;
  using ObjectStore::remove;
  using ObjectStore::replace;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override { return inner_.create(key); }
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    return inner_.open(key, mode);
  }
  Result<ObjectInfo> stat(std::string_view key) override { return inner_.stat(key); }
  Status ensure_durable(std::span<const std::string> keys) override { return inner_.ensure_durable(keys); }
  Result<bool> needs_one_host() override { return inner_.needs_one_host(); }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    return inner_.list(prefix, visit);
  }
  Status remove(std::string_view key, Lasts lasts) override { return inner_.remove(key, lasts); }
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    return inner_.put_if_absent(key, bytes, lasts);
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    return inner_.replace(key, expected, bytes, lasts);
  }

 private:
  ObjectStore& inner_;
};

// Fails to open the objects of one folder, or one object.
class UnreadableFolder : public ForwardingObjects {
 public:
  UnreadableFolder(ObjectStore& inner, std::string folder, ErrorCode code)
      : ForwardingObjects(inner), folder_(std::move(folder)), code_(code) {}
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    if (key.starts_with(folder_)) return Error(code_, "told to fail");
    return ForwardingObjects::open(key, mode);
  }

 private:
  const std::string folder_;
  const ErrorCode code_;
};

// A store as a process sees it that dies: the first `lives` operations reach the inner store, every later one
// fails with kIo and changes nothing.
class DyingObjects : public ForwardingObjects {
 public:
  DyingObjects(ObjectStore& inner, int lives) : ForwardingObjects(inner), lives_(lives) {}
  bool died() const { return lives_ < 0; }
  using ForwardingObjects::put_if_absent;
  using ForwardingObjects::remove;
  using ForwardingObjects::replace;

  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    TRY(live());
    return ForwardingObjects::open(key, mode);
  }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    TRY(live());
    return ForwardingObjects::list(prefix, visit);
  }
  Status remove(std::string_view key, Lasts lasts) override {
    TRY(live());
    return ForwardingObjects::remove(key, lasts);
  }
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    TRY(live());
    return ForwardingObjects::put_if_absent(key, bytes, lasts);
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    TRY(live());
    return ForwardingObjects::replace(key, expected, bytes, lasts);
  }

 private:
  Status live() {
    if (lives_-- > 0) return {};
    lives_ = -1;
    return Error(ErrorCode::kIo, "dead");
  }
  int lives_;
};

// A store whose operation number `at`, counted from 0, fails with `code` and changes nothing.
class FailingCall : public ForwardingObjects {
 public:
  FailingCall(ObjectStore& inner, int at, ErrorCode code)
      : ForwardingObjects(inner), left_(at), code_(code) {}
  bool failed() const { return left_ < 0; }
  using ForwardingObjects::put_if_absent;
  using ForwardingObjects::remove;
  using ForwardingObjects::replace;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override {
    TRY(step());
    return ForwardingObjects::create(key);
  }
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    TRY(step());
    return ForwardingObjects::open(key, mode);
  }
  Result<ObjectInfo> stat(std::string_view key) override {
    TRY(step());
    return ForwardingObjects::stat(key);
  }
  Status ensure_durable(std::span<const std::string> keys) override {
    TRY(step());
    return ForwardingObjects::ensure_durable(keys);
  }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    TRY(step());
    return ForwardingObjects::list(prefix, visit);
  }
  Status remove(std::string_view key, Lasts lasts) override {
    TRY(step());
    return ForwardingObjects::remove(key, lasts);
  }
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    TRY(step());
    return ForwardingObjects::put_if_absent(key, bytes, lasts);
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    TRY(step());
    return ForwardingObjects::replace(key, expected, bytes, lasts);
  }

 private:
  Status step() {
    if (left_-- != 0) return {};
    return Error(code_, "told to fail");
  }
  std::atomic<int> left_;
  const ErrorCode code_;
};

// A store that calls `act` once: before its operation number `at`, counted from 0.
class InterruptedObjects : public ForwardingObjects {
 public:
  InterruptedObjects(ObjectStore& inner, int at, std::function<void()> act)
      : ForwardingObjects(inner), left_(at), act_(std::move(act)) {}
  bool acted() const { return left_ < 0; }
  using ForwardingObjects::put_if_absent;
  using ForwardingObjects::remove;
  using ForwardingObjects::replace;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override {
    step();
    return ForwardingObjects::create(key);
  }
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    step();
    return ForwardingObjects::open(key, mode);
  }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    step();
    return ForwardingObjects::list(prefix, visit);
  }
  Status remove(std::string_view key, Lasts lasts) override {
    step();
    return ForwardingObjects::remove(key, lasts);
  }
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    step();
    return ForwardingObjects::put_if_absent(key, bytes, lasts);
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    step();
    return ForwardingObjects::replace(key, expected, bytes, lasts);
  }

 private:
  void step() {
    if (left_-- == 0) act_();
  }
  int left_;
  std::function<void()> act_;
};

}  // namespace ashlar
