// Fuzz target: sizes and ids as people type them.
#include "base/id.h"
#include "base/units.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = parse_size(text); bytes.ok()) {
    // A size printed in bytes is read back equal.
    CHECK(parse_size(std::to_string(bytes.value())).take() == bytes.value());
    CHECK(!format_size(bytes.value()).empty());
  }
  if (const auto id = SnapshotId::parse(text); id.ok()) CHECK(id.value().text() == text);
  if (const auto id = PackId::parse(text); id.ok()) CHECK(id.value().hex() == text);
  if (const auto id = NodeId::parse(text); id.ok()) CHECK(id.value().hex() == text);
  return 0;
}
