#include "transfer/layout_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace ashlar {
namespace {

constexpr std::string_view kBlobs = "blobs/sha256";
constexpr std::string_view kOurs = ".ashlar-";
constexpr const char* kLock = ".ashlar-lock";
constexpr const char* kLayoutFile = "oci-layout";
constexpr const char* kIndexFile = "index.json";

std::string temporary(const std::string& name) { return std::string(kOurs) + name; }

// Returns whether a file at the top of a layout (is_incoming(): in the folder of its blobs) is a temporary
// file of a writer. Other names with such a beginning belong to other programs.
bool is_temporary(const std::string& name) {
  return name == temporary(kLayoutFile) || name == temporary(kIndexFile);
}
bool is_incoming(const std::string& name) {
  if (!name.starts_with(kOurs) || name.size() == kOurs.size()) return false;
  return std::ranges::all_of(name.substr(kOurs.size()), [](char c) { return c >= '0' && c <= '9'; });
}

// Fails when one of `names` is a link: it would lead the writer out of the given directory.
Status refuse_links(const std::vector<DirectoryEntry>& entries, std::initializer_list<const char*> names) {
  for (const DirectoryEntry& entry : entries) {
    const bool is_used = std::ranges::any_of(names, [&](const char* name) { return entry.name == name; });
    if (is_used && entry.is_link)
      return invalid(fmt::format("{} in it is a symbolic link: links are not followed", entry.name));
  }
  return {};
}

Result<std::string> read_text(FileSystem& files, const std::string& path) {
  const ByteVector bytes = TRY(read_file(files, path, kMaxOciJsonBytes));
  return std::string(as_text(bytes));
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

Result<std::unique_ptr<OciLayoutWriter>> OciLayoutWriter::begin(FileSystem& files,
                                                                const std::string& directory,
                                                                const std::string& tag,
                                                                std::uint64_t part_bytes) {
  TRY(check_oci_tag(tag));
  std::unique_ptr<OciLayoutWriter> writer(
      new OciLayoutWriter(files, without_slashes(directory), tag, part_bytes));
  TRY(writer->prepare());
  return writer;
}

OciLayoutWriter::~OciLayoutWriter() {
  file_.reset();
  if (lock_) take_away();
  if (makes_directory_) best_effort(files_.remove(directory_));  // fails while the directory holds a file
}

Status OciLayoutWriter::append(ByteSpan bytes) {
  while (!bytes.empty()) {
    if (!file_) TRY(begin_part());
    const ByteSpan piece = bytes.first(std::min<std::uint64_t>(bytes.size(), part_bytes_ - size_));
    TRY(file_->append(piece));
    hasher_.update(piece);
    size_ += piece.size();
    bytes = bytes.subspan(piece.size());
    if (size_ == part_bytes_) TRY(cut());
  }
  return {};
}

Status OciLayoutWriter::cut() {
  if (!file_) return {};
  TRY(file_->sync());
  file_.reset();
  blobs_.push_back({hasher_.finish(), size_});
  parts_.push_back(blobs_.back());
  return {};
}

Result<OciBlob> OciLayoutWriter::finish(OciManifest manifest) {
  TRY(cut());
  manifest.parts = parts_;
  TRY(add_blob(kOciEmptyConfig));
  const OciBlob described = TRY(add_blob(encode(manifest)));
  TRY(publish_blobs());
  TRY(publish_index(described));
  return described;
}

// Finds out whether the directory is a layout or a new one. A directory in which a writer was killed before
// there was an index counts as new.
Status OciLayoutWriter::check_directory() {
  const auto entries = TRY(files_.list(directory_));
  TRY(refuse_links(entries, {"blobs", kLock, kLayoutFile, kIndexFile}));
  is_new_ =
      std::ranges::none_of(entries, [](const DirectoryEntry& entry) { return entry.name == kIndexFile; });
  if (!is_new_) {
    TRY(check_oci_layout(TRY(read_text(files_, path(kLayoutFile)))));
    // Refuses a tag that is taken before anything is written; the contents of the manifest do not matter.
    TRY(add_to_oci_index(TRY(read_text(files_, path(kIndexFile))), tag_, {}));
    return {};
  }
  for (const DirectoryEntry& entry : entries) {
    const bool is_part = entry.name == "blobs" || entry.name == kLayoutFile || entry.name == kLock;
    if (!is_part && !is_temporary(entry.name))
      return invalid("it is not an OCI image layout: name a layout or a new directory");
  }
  return {};
}

Status OciLayoutWriter::prepare() {
  const auto found = files_.list(directory_);
  makes_directory_ = is(found, ErrorCode::kNotFound);
  TRY(files_.make_directory(directory_));
  TRY(check_directory().with_context(directory_));
  auto lock = files_.lock(path(kLock));
  if (is(lock, ErrorCode::kBusy)) return busy(directory_ + ": another export is writing this layout");
  lock_ = TRY(std::move(lock));
  TRY(check_directory().with_context(directory_));  // a writer that had the lock may have changed it
  TRY(files_.make_directory(path("blobs")));
  TRY(refuse_links(TRY(files_.list(path("blobs"))), {"sha256"}).with_context(path("blobs")));
  TRY(files_.make_directory(path(std::string(kBlobs))));
  is_prepared_ = true;
  return remove_leftovers();
}

Status OciLayoutWriter::remove_leftovers() {
  for (const DirectoryEntry& entry : TRY(files_.list(directory_))) {
    if (is_temporary(entry.name)) TRY(files_.remove(path(entry.name)));
  }
  const std::string blobs = path(std::string(kBlobs));
  for (const DirectoryEntry& entry : TRY(files_.list(blobs))) {
    if (is_incoming(entry.name)) TRY(files_.remove(blobs + "/" + entry.name));
  }
  return {};
}

std::string OciLayoutWriter::incoming(std::size_t number) const {
  return fmt::format("{}/{}/{}{}", directory_, kBlobs, kOurs, number);
}

Status OciLayoutWriter::begin_part() {
  if (parts_.size() == kMaxOciParts) {
    return unsupported(
        fmt::format("the image takes more than {} parts, more than an OCI manifest holds: export it as "
                    "a bundle",
                    kMaxOciParts));
  }
  file_ = TRY(files_.create(incoming(blobs_.size())));
  size_ = 0;
  hasher_.begin();
  return {};
}

Result<OciBlob> OciLayoutWriter::add_blob(std::string_view text) {
  const ByteSpan bytes = as_byte_span(text);
  const auto file = TRY(files_.create(incoming(blobs_.size())));
  blobs_.push_back({sha256(bytes), bytes.size()});
  TRY(file->append(bytes));
  TRY(file->sync());
  return blobs_.back();
}

// Renames the blobs to their digests. A file that has such a name already is replaced by bytes with this
// digest.
Status OciLayoutWriter::publish_blobs() {
  is_named_ = true;
  for (std::size_t i = 0; i < blobs_.size(); ++i)
    TRY(files_.rename(incoming(i), path(oci_blob_path(blobs_[i].digest))));
  TRY(files_.sync_directory(path(std::string(kBlobs))));
  TRY(files_.sync_directory(path("blobs")));
  if (!is_new_) return {};
  TRY(write_file(kLayoutFile, encode_oci_layout()));
  TRY(name_file(kLayoutFile));
  return files_.sync_directory(parent_of(directory_));
}

// Adds the manifest to the index. The index is read again, because tools that do not use the lock may have
// created or changed it.
Status OciLayoutWriter::publish_index(const OciBlob& manifest) {
  auto before = read_text(files_, path(kIndexFile));
  if (is(before, ErrorCode::kNotFound)) {
    if (TRY(publish_first_index(manifest))) return {};
    before = read_text(files_, path(kIndexFile));
  }
  TRY(write_index(TRY(std::move(before)), manifest));
  return name_file(kIndexFile);
}

// Creates the index and returns true; returns false when another program's index exists. A link replaces no
// file.
Result<bool> OciLayoutWriter::publish_first_index(const OciBlob& manifest) {
  TRY(write_index(empty_oci_index(), manifest));
  const std::string written = path(temporary(kIndexFile));
  Status linked = files_.link(written, path(kIndexFile));
  if (!linked.ok() && linked.error().error_number() == EEXIST) {
    TRY(files_.remove(written));
    return false;
  }
  // The file system has no links, such as that of USB sticks.
  if (!linked.ok() && linked.error().error_number() == EPERM) {
    TRY(name_file(kIndexFile));
    return true;
  }
  TRY(std::move(linked));
  TRY(files_.sync_directory(directory_));
  return true;
}

Status OciLayoutWriter::write_index(const std::string& before, const OciBlob& manifest) {
  return write_file(kIndexFile, TRY(add_to_oci_index(before, tag_, manifest).with_context(directory_)));
}

Status OciLayoutWriter::write_file(const std::string& name, std::string_view text) {
  const auto file = TRY(files_.create(path(temporary(name))));
  TRY(file->append(as_byte_span(text)));
  return file->sync();
}

Status OciLayoutWriter::name_file(const std::string& name) {
  TRY(files_.rename(path(temporary(name)), path(name)));
  return files_.sync_directory(directory_);
}

// Removes what was written, as far as possible: no index names the files that stay. Blobs that have the names
// of their digests stay in a layout that has an index, even one of another program, because other images may
// need them.
void OciLayoutWriter::take_away() {
  const auto index = files_.file_size(path(kIndexFile));
  is_new_ = is_new_ && is(index, ErrorCode::kNotFound);
  const auto remove = [this](const std::string& one) { best_effort(files_.remove(one)); };
  if (is_prepared_) best_effort(remove_leftovers());
  if (is_new_ && is_named_) {
    for (const OciBlob& blob : blobs_) remove(path(oci_blob_path(blob.digest)));
    remove(path(kLayoutFile));
  }
  remove(path(kLock));
  if (!is_new_) return;
  if (is_prepared_) remove(path(std::string(kBlobs)));
  remove(path("blobs"));
}

}  // namespace ashlar
