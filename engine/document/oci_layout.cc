#include "document/oci_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace ashlar {
namespace {

using Json = nlohmann::ordered_json;  // members stay in the order of the specification's examples

constexpr int kMaxDepth = 16;
constexpr std::string_view kLayoutVersion = "1.0.0";
constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kEmptyType = "application/vnd.oci.empty.v1+json";
constexpr std::array kContainerConfigs = {
    std::string_view("application/vnd.oci.image.config.v1+json"),
    std::string_view("application/vnd.docker.container.image.v1+json"),
};
constexpr const char* kTagKey = "org.opencontainers.image.ref.name";
constexpr std::string_view kDigestPrefix = "sha256:";

Error damaged(std::string_view what) { return corrupt(fmt::format("OCI layout: {}", what)); }

// Parses an object of JSON that comes from outside the store: limits its length and its nesting.
Result<Json> parse_object(std::string_view text, std::string_view what) {
  if (text.size() > kMaxOciJsonBytes)
    return damaged(fmt::format("{} is longer than {} bytes", what, kMaxOciJsonBytes));
  bool deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth) deep = true;
    return !deep;
  };
  Json body = Json::parse(text, shallow, false);
  if (deep || !body.is_object()) return damaged(fmt::format("{} is not a JSON object", what));
  return body;
}

// Returns nullptr when the member is missing. Json::value() is not used: it throws when the type is another
// one.
const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

bool is(const Json& object, const char* key, std::string_view text) {
  const Json* found = member(object, key);
  return found && found->is_string() && found->get_ref<const std::string&>() == text;
}

bool is_version_2(const Json& object) {
  const Json* found = member(object, "schemaVersion");
  return found && found->is_number_unsigned() && *found == 2U;
}

bool is_or_is_missing(const Json& object, const char* key, std::string_view text) {
  return !member(object, key) || is(object, key, text);
}

Json descriptor(std::string_view type, const OciBlob& blob) {
  return {{"mediaType", type}, {"digest", oci_digest_text(blob.digest)}, {"size", blob.size}};
}

// Returns the digest and the size in a descriptor; nothing when they are not as the specification requires.
std::optional<OciBlob> blob_of(const Json& descriptor) {
  const Json* digest = member(descriptor, "digest");
  const Json* size = member(descriptor, "size");
  if (!digest || !digest->is_string() || !size || !size->is_number_unsigned()) return std::nullopt;
  const std::string_view text = digest->get_ref<const std::string&>();
  OciBlob blob;
  if (!text.starts_with(kDigestPrefix)) return std::nullopt;
  if (!from_hex(text.substr(kDigestPrefix.size()), blob.digest).ok()) return std::nullopt;
  blob.size = size->get<std::uint64_t>();
  return blob;
}

OciBlob empty_config() { return {sha256(as_byte_span(kOciEmptyConfig)), kOciEmptyConfig.size()}; }

bool is_container(const Json& manifest) {
  const Json* config = member(manifest, "config");
  return config && std::ranges::any_of(kContainerConfigs,
                                       [&](std::string_view type) { return is(*config, "mediaType", type); });
}

Result<Json> parse_index(std::string_view text) {
  Json index = TRY(parse_object(text, "index.json"));
  const Json* manifests = member(index, "manifests");
  if (!is_version_2(index) || !is_or_is_missing(index, "mediaType", kIndexType) || !manifests ||
      !manifests->is_array())
    return damaged("index.json is not an image index");
  for (const Json& entry : *manifests) {
    if (!entry.is_object()) return damaged("index.json lists an entry that is not a manifest");
  }
  return index;
}

bool has_tag(const Json& entry, std::string_view tag) {
  const Json* annotations = member(entry, "annotations");
  return annotations && is(*annotations, kTagKey, tag);
}

}  // namespace

std::string oci_digest_text(const Sha256& digest) { return std::string(kDigestPrefix) + to_hex(digest); }

std::string oci_blob_path(const Sha256& digest) { return "blobs/sha256/" + to_hex(digest); }

std::string encode(const OciManifest& manifest) {
  Json layers = Json::array();
  for (const OciBlob& part : manifest.parts) layers.push_back(descriptor(kOciPartType, part));
  Json annotations = {{"org.opencontainers.image.title", manifest.name},
                      {"org.opencontainers.image.created", manifest.created.iso8601()},
                      {"vnd.ashlar.image", manifest.image.text()}};
  if (manifest.since.value != 0) annotations["vnd.ashlar.since"] = manifest.since.text();
  const Json body = {{"schemaVersion", 2},
                     {"mediaType", kManifestType},
                     {"artifactType", kOciArtifactType},
                     {"config", descriptor(kEmptyType, empty_config())},
                     {"layers", layers},
                     {"annotations", annotations}};
  return body.dump();
}

Result<std::vector<OciBlob>> decode_oci_manifest(std::string_view text) {
  const Json body = TRY(parse_object(text, "the manifest"));
  if (!is_version_2(body) || !is_or_is_missing(body, "mediaType", kManifestType))
    return damaged("the manifest is not an image manifest");
  if (is_container(body)) return invalid("OCI layout: it holds a container image, not an image of ashlar");
  if (!is(body, "artifactType", kOciArtifactType))
    return invalid("OCI layout: it holds another kind of artifact, not an image of ashlar");
  const Json* config = member(body, "config");
  if (!config || !is(*config, "mediaType", kEmptyType) || blob_of(*config) != empty_config())
    return damaged("the manifest has another config than the empty one");
  const Json* layers = member(body, "layers");
  if (!layers || !layers->is_array() || layers->empty() || layers->size() > kMaxOciParts)
    return damaged(fmt::format("the manifest does not have 1 to {} layers", kMaxOciParts));
  std::vector<OciBlob> parts;
  parts.reserve(layers->size());
  for (const Json& layer : *layers) {
    const auto part = blob_of(layer);
    if (!is(layer, "mediaType", kOciPartType)) return damaged("a layer is not a part of a bundle");
    if (!part || part->size == 0 || part->size > kMaxOciPartBytes)
      return damaged("a layer has no digest of SHA-256, or an impossible size");
    parts.push_back(*part);
  }
  return parts;
}

std::string encode_oci_layout() { return Json({{"imageLayoutVersion", kLayoutVersion}}).dump(); }

Status check_oci_layout(std::string_view text) {
  const Json body = TRY(parse_object(text, "the file oci-layout"));
  const Json* version = member(body, "imageLayoutVersion");
  if (!version || !version->is_string()) return damaged("the file oci-layout names no version");
  if (*version != kLayoutVersion)
    return unsupported(fmt::format("OCI layout: its version is not {}", kLayoutVersion));
  return {};
}

Status check_oci_tag(std::string_view tag) {
  constexpr std::string_view kFirst = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  const bool fine =
      !tag.empty() && tag.size() <= kMaxOciTagBytes && kFirst.find(tag.front()) != std::string_view::npos &&
      std::ranges::all_of(
          tag, [&](char c) { return kFirst.find(c) != std::string_view::npos || c == '.' || c == '-'; });
  if (fine) return {};
  return invalid(
      fmt::format("a tag is 1 to {} of A-Z a-z 0-9 _ . - and begins with none of . and -", kMaxOciTagBytes));
}

Result<OciBlob> find_in_oci_index(std::string_view index, std::string_view tag) {
  const Json body = TRY(parse_index(index));
  const Json* found = nullptr;
  for (const Json& entry : body["manifests"]) {
    if (!tag.empty() && !has_tag(entry, tag)) continue;
    if (found && tag.empty())
      return invalid("OCI layout: it holds several images: name one as DIRECTORY:TAG");
    if (found) return damaged("two manifests have the same tag");
    found = &entry;
  }
  if (!found && tag.empty()) return not_found("OCI layout: it holds no image");
  if (!found) return not_found("OCI layout: no image has this tag");
  if (is(*found, "mediaType", kIndexType))
    return invalid("OCI layout: it holds a container image for several platforms, not an image of ashlar");
  const auto blob = blob_of(*found);
  if (!is(*found, "mediaType", kManifestType) || !blob || blob->size > kMaxOciJsonBytes)
    return damaged("index.json does not say where the manifest is");
  return *blob;
}

std::string empty_oci_index() {
  return Json({{"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", Json::array()}}).dump();
}

Result<std::string> add_to_oci_index(std::string_view index, std::string_view tag, const OciBlob& manifest) {
  Json body = TRY(parse_index(index));
  Json& manifests = body["manifests"];
  if (std::ranges::any_of(manifests, [&](const Json& entry) { return has_tag(entry, tag); }))
    return invalid(fmt::format("the tag {} exists already: name another tag", tag));
  Json entry = descriptor(kManifestType, manifest);
  entry["annotations"] = {{kTagKey, tag}};
  manifests.push_back(std::move(entry));
  std::string text = body.dump();
  if (text.size() > kMaxOciJsonBytes) return invalid("index.json is full: name another layout");
  return text;
}

}  // namespace ashlar
