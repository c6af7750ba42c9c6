#include "transfer/layout_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/contained_directory.h"

namespace ashlar {
namespace {

Error damaged(std::string_view what) { return corrupt(fmt::format("OCI layout: {}", what)); }

Error damaged(const OciBlob& blob, std::string_view what) {
  return damaged(fmt::format("blob {} {}", oci_digest_text(blob.digest), what));
}

// Opens a file of the layout. A file that is missing or invalid counts as damage of the layout; failures of
// this host do not.
Result<std::unique_ptr<ReadableFile>> open_file(const OpenLayoutFile& open, const std::string& name) {
  auto file = open(name);
  if (file.ok()) return file;
  if (file.error().code() == ErrorCode::kNotFound) return damaged(fmt::format("{} is missing", name));
  if (file.error().code() == ErrorCode::kInvalid) return damaged(file.error().text());
  return file;
}

Result<std::string> read_text(const OpenLayoutFile& open, const std::string& name) {
  const auto file = TRY(open_file(open, name));
  const std::uint64_t size = TRY(file->size());
  if (size > kMaxOciJsonBytes)
    return damaged(fmt::format("{} is longer than {} bytes", name, kMaxOciJsonBytes));
  std::string text(size, '\0');
  if (TRY(file->read_at(0, std::as_writable_bytes(std::span(text)))) != size)
    return damaged(fmt::format("{} changes while it is read", name));
  return text;
}

Result<std::string> read_blob(const OpenLayoutFile& open, const OciBlob& blob) {
  std::string text = TRY(read_text(open, oci_blob_path(blob.digest)));
  if (text.size() != blob.size) return damaged(blob, "has another size than its descriptor says");
  if (sha256(as_byte_span(text)) != blob.digest) return damaged(blob, "does not match its digest");
  return text;
}

Result<std::unique_ptr<ReadableFile>> open_blob(const OpenLayoutFile& open, const OciBlob& blob) {
  auto file = TRY(open_file(open, oci_blob_path(blob.digest)));
  if (TRY(file->size()) != blob.size) return damaged(blob, "has another size than its descriptor says");
  return file;
}

}  // namespace

Result<OciLayoutReader> OciLayoutReader::open(OpenLayoutFile open, const std::string& tag) {
  TRY(check_oci_layout(TRY(read_text(open, "oci-layout"))));
  const OciBlob manifest = TRY(find_in_oci_index(TRY(read_text(open, "index.json")), tag));
  std::vector<OciBlob> parts = TRY(decode_oci_manifest(TRY(read_blob(open, manifest))));
  TRY(read_blob(open, {sha256(as_byte_span(kOciEmptyConfig)), kOciEmptyConfig.size()}));
  for (const OciBlob& part : parts) TRY(open_blob(open, part));
  return OciLayoutReader(std::move(open), std::move(parts));
}

Result<OciLayoutReader> OciLayoutReader::open(const std::string& directory, const std::string& tag) {
  const auto files = std::make_shared<ContainedDirectory>(TRY(ContainedDirectory::open(directory)));
  return open([files](const std::string& name) { return files->open_file(name); }, tag);
}

Status OciLayoutReader::open_part() {
  file_ = TRY(open_blob(open_, parts_[part_]));
  offset_ = 0;
  hasher_->begin();
  return {};
}

Status OciLayoutReader::check_part() {
  if (hasher_->finish() != parts_[part_].digest) return damaged(parts_[part_], "does not match its digest");
  file_.reset();
  ++part_;
  return {};
}

Result<std::size_t> OciLayoutReader::read(MutableByteSpan out) {
  std::size_t filled = 0;
  while (filled < out.size() && part_ < parts_.size()) {
    if (!file_) TRY(open_part());
    const OciBlob& part = parts_[part_];
    const auto wanted = std::min<std::uint64_t>(out.size() - filled, part.size - offset_);
    const MutableByteSpan piece = out.subspan(filled, wanted);
    if (TRY(file_->read_at(offset_, piece)) != wanted)
      return damaged(part, "is truncated: copy or export the layout again");
    hasher_->update(piece);
    filled += wanted;
    offset_ += wanted;
    if (offset_ == part.size) TRY(check_part());
  }
  return filled;
}

}  // namespace ashlar
