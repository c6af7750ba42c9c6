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
inline constexpr std::size_t kMaxOciJsonBytes = 4UL << 20U;  // as registries and clients bound a manifest
inline constexpr std::size_t kMaxOciParts = 16384;           // their descriptors fit in that
inline constexpr std::uint64_t kMaxOciPartBytes = std::uint64_t{256} << 20U;
inline constexpr std::size_t kMaxOciTagBytes = 128;

// Bytes by their digest.
struct OciBlob {
  Sha256 digest{};
  std::uint64_t size = 0;
  friend bool operator==(const OciBlob&, const OciBlob&) = default;
};
std::string oci_digest_text(const Sha256& digest);  // "sha256:…"
// Where a blob lies in a layout: "blobs/sha256/…".
std::string oci_blob_path(const Sha256& digest);

struct OciManifest {
  std::vector<OciBlob> parts;  // of the bundle, in order
  // For people who look at a registry; nothing is decided by these.
  std::string name;
  UtcTime created;
  ImageId image;
  ImageId since;  // value 0: the bundle holds everything
};
std::string encode(const OciManifest& manifest);
// The parts of a manifest's bundle. kCorrupt for what is no manifest or breaks its limits, kInvalid for the
// manifest of something else, such as a container image.
Result<std::vector<OciBlob>> decode_oci_manifest(std::string_view text);

// The file "oci-layout".
std::string encode_oci_layout();
Status check_oci_layout(std::string_view text);

// Tags that are made: [A-Za-z0-9_][A-Za-z0-9._-]*, as registries take them.
Status check_oci_tag(std::string_view tag);

// The file "index.json". The manifest that `tag` names; an empty tag is the only manifest there is.
// kNotFound, kInvalid when there are several, kCorrupt.
Result<OciBlob> find_in_oci_index(std::string_view index, std::string_view tag);
std::string empty_oci_index();
// kInvalid when the tag is taken. What else the index holds stays as it is.
Result<std::string> add_to_oci_index(std::string_view index, std::string_view tag, const OciBlob& manifest);

}  // namespace ashlar
