// Fuzz target: an image record, as it is, and with a right checksum.
#include "document/image_record.h"
#include "document/json_changes.h"
#include "fuzz/target.h"

namespace {

using namespace ashlar;

void decode(const std::string& text) {
  const auto record = decode_image_record(text);
  if (!record.ok()) return;
  const auto again = decode_image_record(encode(record.value()));
  CHECK(again.ok() && again.value() == record.value());
  CHECK(image_digest(again.value()) == image_digest(record.value()));
  for (const ImageSignature& signature : record.value().signatures)
    CHECK(!signed_statement(record.value(), signature).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  decode(text);
  bool deep = false;  // a deep document is skipped: dumping it recurses
  const auto shallow = [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    deep = deep || depth > 16;
    return !deep;
  };
  const auto body = nlohmann::json::parse(text, shallow, false);
  if (!deep && body.is_object()) decode(resealed(body));
  return 0;
}
