// StoreAddress: where a store is. Text is parsed once, here; the rest of the engine sees objects.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/file_system.h"
#include "io/object_store.h"

namespace ashlar {

struct StoreAddress {
  std::string directory;  // as given; today every store is a directory

  // Fails with kUnsupported for the address of a bucket ("s3://…"), with kInvalid for an empty text.
  static Result<StoreAddress> parse(std::string_view text);
  const std::string& text() const { return directory; }
  friend bool operator==(const StoreAddress&, const StoreAddress&) = default;
};

}  // namespace ashlar
