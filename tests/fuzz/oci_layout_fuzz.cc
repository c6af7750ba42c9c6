// Fuzz target: the JSON of OCI layouts; each input is tried as each of the three files.
#include "document/oci_layout.h"
#include "fuzz/target.h"

namespace {

using namespace ashlar;

void manifest(std::string_view text) {
  const auto parts = decode_oci_manifest(text);
  if (!parts.ok()) return;
  const auto again = decode_oci_manifest(encode(OciManifest{parts.value(), "name", {}, ImageId{1}, {}}));
  CHECK(again.ok() && again.value() == parts.value());
}

void index(std::string_view text) {
  (void)find_in_oci_index(text, "").ok();
  const OciBlob blob{sha256({}), 12};
  const auto more = add_to_oci_index(text, "added", blob);
  if (!more.ok()) return;
  const auto found = find_in_oci_index(more.value(), "added");
  CHECK(found.ok() && found.value() == blob);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  manifest(text);
  index(text);
  (void)check_oci_layout(text).ok();
  return 0;
}
