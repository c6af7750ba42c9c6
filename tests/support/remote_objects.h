// RemoteObjects: another object store seen from far away. Each read is delayed and counted, and reads fail on
// demand.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "support/forwarding_objects.h"

namespace ashlar {

enum class Fault { kNone, kError, kBadMedium, kShort, kWrongBytes };

class RemoteObjects : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;

  std::chrono::milliseconds delay{0};  // before each read
  std::atomic<Fault> fault{Fault::kNone};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> read_bytes{0};

  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    return std::shared_ptr<ObjectReader>(
        std::make_shared<Reader>(*this, TRY(ForwardingObjects::open(key, mode))));
  }

 private:
  class Reader : public ObjectReader {
   public:
    Reader(RemoteObjects& remote, std::shared_ptr<ObjectReader> inner)
        : remote_(remote), inner_(std::move(inner)) {}
    std::uint64_t size() const override { return inner_->size(); }
    Status read_at(std::uint64_t offset, MutableByteSpan out) const override {
      ++remote_.reads;
      remote_.read_bytes += out.size();
      std::this_thread::sleep_for(remote_.delay);
      switch (remote_.fault.load()) {
        case Fault::kNone:
          break;
        case Fault::kError:
          return Error(ErrorCode::kIo, "the store is away");
        case Fault::kBadMedium:
          return Error::from_errno(EIO, "read");
        case Fault::kShort:
          return corrupt("the object ends before");
        case Fault::kWrongBytes:
          TRY(inner_->read_at(offset, out));
          out[out.size() / 2] ^= std::byte{1};
          return {};
      }
      return inner_->read_at(offset, out);
    }

   private:
    RemoteObjects& remote_;
    std::shared_ptr<ObjectReader> inner_;
  };
};

}  // namespace ashlar
