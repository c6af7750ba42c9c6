// The JSON of an OCI image layout that carries a bundle. Page: docs/format/oci.md.
//
// Sources: OCI image specification 1.1: image-layout.md, image-index.md, manifest.md, descriptor.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "codec/hash.h"

namespace ashlar {

inline constexpr std::string_view kOciArtifactType = "application/vnd.ashlar.bundle.v1";
inline constexpr std::string_view kOciPartType = "application/vnd.ashlar.bundle.part.v1";
inline constexpr std::string_view kOciEmptyConfig = "{}";
inline constexpr std::size_t kMaxOciJsonBytes = 4UL << 20U;  // as registries and clients limit a manifest
inline constexpr std::size_t kMaxOciParts = 16384;           // the descriptors of so many fit into a manifest
inline constexpr std::uint64_t kMaxOciPartBytes = std::uint64_t{256} << 20U;
inline constexpr std::size_t kMaxOciTagBytes = 128;

// A blob of a layout, named by its digest.
struct OciBlob {
  Sha256 digest{};
  std::uint64_t size = 0;
  friend bool operator==(const OciBlob&, const OciBlob&) = default;
};
std::string oci_digest_text(const Sha256& digest);  // "sha256:…"
// Returns the path of a blob in a layout: "blobs/sha256/…".
std::string oci_blob_path(const Sha256& digest);

struct OciManifest {
  std::vector<OciBlob> parts;  // the parts of the bundle, in order
  // Annotations for people who look at a registry; the program decides nothing by them.
  std::string name;
  UtcTime created;
  ImageId image;
  ImageId since;  // value 0: the bundle holds everything
};
std::string encode(const OciManifest& manifest);
// Returns the parts of a manifest's bundle. Fails with kCorrupt for a text that is not a manifest or breaks
// its limits, and with kInvalid for the manifest of something else, such as a container image.
Result<std::vector<OciBlob>> decode_oci_manifest(std::string_view text);

// Returns the text of the file "oci-layout"; check_oci_layout() checks such a text.
std::string encode_oci_layout();
Status check_oci_layout(std::string_view text);

// Checks a tag that is about to be given: [A-Za-z0-9_][A-Za-z0-9._-]*, as registries accept it.
Status check_oci_tag(std::string_view tag);

// Returns the manifest that `tag` names in the text of the file "index.json"; an empty tag means the only
// manifest of the layout. Fails with kNotFound when there is none, kInvalid when an empty tag matches
// several or the match is a container image for several platforms, kCorrupt for a damaged index.
Result<OciBlob> find_in_oci_index(std::string_view index, std::string_view tag);
std::string empty_oci_index();
// Returns the index with one more manifest; what else the index holds stays as it is. Fails with kInvalid
// when the tag is in use.
Result<std::string> add_to_oci_index(std::string_view index, std::string_view tag, const OciBlob& manifest);

}  // namespace ashlar
