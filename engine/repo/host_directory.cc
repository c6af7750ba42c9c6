#include "repo/host_directory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/random.h"
#include "codec/hash.h"
#include "io/replace_file.h"

namespace ashlar {
namespace {

constexpr std::string_view kRecordName = "/host.json";
constexpr std::string_view kHostsFolder = "/host";
constexpr std::size_t kMaxNameBytes = 256;

// systemd asks programs not to show a machine id, but a digest of it: machine-id(5).
HostId digest_of(std::string_view name) {
  const Sha256 digest = sha256(as_byte_span(fmt::format("ashlar host {}", name)));
  HostId id;
  std::ranges::copy_n(digest.begin(), HostId::kBytes, id.bytes.begin());
  return id;
}

// Returns the path without a slash at its end, so that its parent is the folder that names it.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string absolute(const std::string& path) {
  return without_slash(std::filesystem::absolute(path).lexically_normal().native());
}

Status make_durable(FileSystem& files, const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().native();
  TRY(files.make_directory(path));
  return files.sync_directory(folder.empty() ? "." : folder);
}

}  // namespace

HostId this_host() {
  const auto machine = read_file(posix_file_system(), "/etc/machine-id", kMaxNameBytes);
  if (machine.ok() && !machine.value().empty()) return digest_of(as_text(machine.value()));
  std::array<char, kMaxNameBytes> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  return digest_of(name.data());
}

Result<HostDirectory> HostDirectory::find(FileSystem& files, const StoreAddress& store, const StoreId& id,
                                          const HostChoice& choice) {
  const HostId host = choice.host.is_zero() ? this_host() : choice.host;
  HostDirectory found(files, choice.directory.empty()
                                 ? fmt::format("{}{}/{}", store.directory, kHostsFolder, host.hex())
                                 : without_slash(choice.directory));
  found.index_in_memory_ = choice.index_in_memory;
  const FilePlace place = TRY(files.place_of(store.directory));
  found.us_ = {host, id, place.file_system, place.inode, absolute(store.directory)};
  const std::string path = found.path_ + std::string(kRecordName);
  const auto text = read_file(files, path, kMaxHostRecordBytes);
  found.record_ = found.us_;
  const auto there = text.ok() ? decode_host_record(as_text(text.value())) : Result<HostRecord>(text.error());
  if (is(there, ErrorCode::kNotFound) || is(there, ErrorCode::kCorrupt)) {
    // Without a record it is unknown whose state lies here.
    const bool holds_state = is(there, ErrorCode::kCorrupt) || files.list(found.overlays()).ok() ||
                             files.list(found.instances()).ok();
    if (!holds_state) return found;
    found.record_.directory.clear();
    found.owner_ = Owner::kOriginal;
    return found;
  }
  if (!there.ok()) return there.error().with_context(path);
  found.record_ = there.value();
  TRY(found.check_names_us());
  found.owner_ = found.record_.file_system == place.file_system && found.record_.inode == place.inode
                     ? Owner::kUs
                     : Owner::kOriginal;
  return found;
}

Status HostDirectory::check_names_us() const {
  if (record_.store == us_.store && record_.host == us_.host) return {};
  return invalid(fmt::format("{} belongs to {}, not to {}: choose another directory", path_,
                             record_.store == us_.store ? "another host" : "the store " + record_.directory,
                             us_.directory));
}

Status HostDirectory::check_not_original() const {
  if (owner_ != Owner::kOriginal) return {};
  if (record_.directory.empty())
    return invalid(fmt::format("{}/host.json is missing or damaged: it is unknown whether the volumes and "
                               "machines noted there belong to this store or to one that it was copied from",
                               path_))
        .about(ErrorKind::kStoreIsCopy, path_);
  return invalid(fmt::format("this store is a copy of {}: the volumes and machines noted in {} belong to the "
                             "original",
                             record_.directory, path_))
      .about(ErrorKind::kStoreIsCopy, record_.directory);
}

Status HostDirectory::make() {
  if (owner_ == Owner::kUs) return {};
  TRY(check_not_original());
  const auto folder = std::filesystem::path(path_).parent_path();
  if (folder.filename().native() == kHostsFolder.substr(1)) TRY(make_durable(*files_, folder.native()));
  TRY(make_durable(*files_, path_));
  TRY(publish_record());
  owner_ = Owner::kUs;
  return {};
}

// Two processes may do so at the same time: a link never replaces. The other one may be of another store.
Status HostDirectory::publish_record() {
  const std::string path = path_ + std::string(kRecordName);
  const std::string fresh = fmt::format("{}.{:016x}", path, random_u64());
  {
    const auto file = TRY(files_->create(fresh));
    TRY(file->append(as_byte_span(encode(us_))));
    TRY(file->sync());
  }
  Status linked = files_->link(fresh, path);
  best_effort(files_->remove(fresh));
  if (!linked.ok() && linked.error().error_number() != EEXIST) return linked;
  if (!linked.ok()) {
    record_ = TRY(decode_host_record(as_text(TRY(read_file(*files_, path, kMaxHostRecordBytes)))));
    TRY(check_names_us());
  }
  return files_->sync_directory(path_);
}

Status HostDirectory::check_came_along() const {
  const bool is_inside = absolute(path_).starts_with(us_.directory + "/");
  if (owner_ != Owner::kOriginal || is_inside || record_.directory.empty()) return {};
  const auto original = files_->place_of(record_.directory);
  if (!original.ok() || original.value() != FilePlace{record_.file_system, record_.inode}) return {};
  return invalid(
      fmt::format("{} is the host directory of the store {}, which is still there: choose another directory "
                  "for the copy",
                  path_, record_.directory));
}

Status HostDirectory::claim() {
  TRY(replace_file(*files_, path_ + std::string(kRecordName), as_byte_span(encode(us_))));
  record_ = us_;
  owner_ = Owner::kUs;
  return {};
}

Result<std::optional<VolumeId>> HostDirectory::volume_in(const std::string& folder) const {
  const std::filesystem::path path(folder);
  const auto id = VolumeId::parse(path.filename().native());
  if (!id.ok()) return std::optional<VolumeId>();
  const auto place = files_->place_of(folder);
  const auto ours = files_->place_of(overlay(id.value()));
  const bool is_same = place.ok() && ours.ok() && place.value() == ours.value();
  return is_same ? std::optional(id.value()) : std::optional<VolumeId>();
}

bool HostDirectory::is_torn_overlay(const std::string& folder) const {
  const auto parent = files_->place_of(std::filesystem::path(folder).parent_path().native());
  const auto torn_place = files_->place_of(torn());
  return parent.ok() && torn_place.ok() && parent.value() == torn_place.value();
}

Status HostDirectory::make_folder(const std::string& path) {
  TRY(make());
  return make_durable(*files_, path);
}

}  // namespace ashlar
