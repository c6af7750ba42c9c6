// UnwritableObjects: the objects of a store that this program must not change, because it lacks a feature
// that writers need (document/store_config.h). Reads pass; every change fails with the same message, so a
// writer ends at its first one.
#pragma once

#include <memory>
#include <utility>

#include "io/object_store.h"

namespace ashlar {

class UnwritableObjects : public ObjectStore {
 public:
  // `refusal` is the error of every change.
  UnwritableObjects(std::unique_ptr<ObjectStore> objects, Error refusal)
      : objects_(std::move(objects)), refusal_(std::move(refusal)) {}

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view /*key*/) override { return refusal_; }
  Status remove(std::string_view /*key*/, Lasts /*lasts*/) override { return refusal_; }
  Status put_if_absent(std::string_view /*key*/, ByteSpan /*bytes*/, Lasts /*lasts*/) override {
    return refusal_;
  }
  Status replace(std::string_view /*key*/, ByteSpan /*expected*/, ByteSpan /*bytes*/,
                 Lasts /*lasts*/) override {
    return refusal_;
  }

  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    return objects_->open(key, mode);
  }
  Result<ObjectInfo> stat(std::string_view key) override { return objects_->stat(key); }
  Result<bool> needs_one_host() override { return objects_->needs_one_host(); }
  Status ensure_durable(std::span<const std::string> keys) override { return objects_->ensure_durable(keys); }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    return objects_->list(prefix, visit);
  }

 private:
  std::unique_ptr<ObjectStore> objects_;
  Error refusal_;
};

}  // namespace ashlar
