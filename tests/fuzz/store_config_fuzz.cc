// Fuzz target: ashlar.json, as it is, and with a right checksum.
#include "document/json_changes.h"
#include "document/store_config.h"
#include "fuzz/target.h"

namespace {

using namespace ashlar;

void decode(const std::string& text) {
  const auto config = decode_store_config(text);
  if (!config.ok()) return;
  const auto again = decode_store_config(encode(config.value()));
  CHECK(again.ok() && again.value() == config.value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  decode(text);
  const auto body = nlohmann::json::parse(text, nullptr, false);
  if (!body.is_object()) return 0;
  for (const auto& member : body) {
    for (const auto& element : member) {
      if (element.is_structured()) return 0;
    }
  }
  decode(resealed(body));
  return 0;
}
