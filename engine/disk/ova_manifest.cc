// The manifest of an OVA: one line for each member, "SHA256(NAME)= HEX".
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>

#include "disk/ova.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMaxManifestBytes = 256UL * 1024;
constexpr std::size_t kStepBytes = 1UL << 20U;

struct Line {
  std::string algorithm;
  std::string name;
  std::string digest;  // lower case
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Parses a line. Names may hold parentheses: the last one before the equals sign ends the name.
Result<Line> parse_line(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::size_t equals = text.rfind('=');
  const std::size_t close = equals == std::string_view::npos ? equals : text.rfind(')', equals);
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return corrupt("has a manifest with a line that is not a digest");
  return Line{lower(trimmed(text.substr(0, open))), std::string(text.substr(open + 1, close - open - 1)),
              lower(trimmed(text.substr(equals + 1)))};
}

Result<std::vector<Line>> parse_manifest(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    if (!line.empty()) lines.push_back(TRY(parse_line(line)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

struct DigestCloser {
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};

Result<const EVP_MD*> algorithm_of(const std::string& name) {
  if (name == "sha256") return ::EVP_sha256();
  if (name == "sha1") return ::EVP_sha1();
  if (name == "sha512") return ::EVP_sha512();
  return unsupported(fmt::format("has a manifest with digests of the kind '{}'", name));
}

Result<std::string> digest_of(const FileRange& range, const EVP_MD* algorithm, const std::stop_token& stop) {
  const std::unique_ptr<EVP_MD_CTX, DigestCloser> context(::EVP_MD_CTX_new());
  if (!context || ::EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1)
    return unsupported("the digest of its manifest can't be computed here");
  ByteVector buffer(kStepBytes);
  for (std::uint64_t at = 0; at < range.bytes;) {
    if (stop.stop_requested()) return cancelled();
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), range.bytes - at));
    TRY(range.read(at, part));
    if (::EVP_DigestUpdate(context.get(), part.data(), part.size()) != 1)
      return unsupported("the digest of its manifest can't be computed here");
    at += part.size();
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1)
    return unsupported("the digest of its manifest can't be computed here");
  return fmt::format("{:02x}", fmt::join(std::span(digest).first(size), ""));
}

Result<std::optional<OvaMember>> find_manifest(const Ova& ova) {
  std::optional<OvaMember> found;
  for (const OvaMember& member : ova.members) {
    if (!member.name.ends_with(".mf")) continue;
    if (found) return invalid("has more than one manifest (*.mf)");
    found = member;
  }
  return found;
}

}  // namespace

Result<bool> verify_manifest(const ReadableFile& file, const Ova& ova, const std::vector<std::string>& needed,
                             const std::stop_token& stop) {
  const auto manifest = TRY(find_manifest(ova));
  if (!manifest) return false;
  std::set<std::string> verified;
  for (const Line& line : TRY(parse_manifest(TRY(read_member(file, *manifest, kMaxManifestBytes))))) {
    const auto member = std::ranges::find(ova.members, line.name, &OvaMember::name);
    if (member == ova.members.end())
      return corrupt(fmt::format("lacks '{}', which its manifest names", line.name));
    if (!verified.insert(line.name).second)
      return corrupt(fmt::format("has a manifest that names '{}' twice", line.name));
    const FileRange range{file, member->offset, member->bytes};
    if (TRY(digest_of(range, TRY(algorithm_of(line.algorithm)), stop)) != line.digest)
      return corrupt(fmt::format("is damaged: '{}' does not match the manifest", line.name));
  }
  for (const std::string& name : needed) {
    if (!verified.contains(name)) return corrupt(fmt::format("has a manifest that does not name '{}'", name));
  }
  return true;
}

}  // namespace ashlar
