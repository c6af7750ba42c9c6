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

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().native();
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
                                 : choice.directory);
  found.index_in_memory_ = choice.index_in_memory;
  const FilePlace place = TRY(files.place_of(store.directory));
  found.us_ = {host, id, place.file_system, place.inode, absolute(store.directory)};
  const std::string path = found.path_ + std::string(kRecordName);
  const auto text = read_file(files, path, kMaxHostRecordBytes);
  found.record_ = found.us_;
  if (is(text, ErrorCode::kNotFound)) return found;
  if (!text.ok()) return text.error();
  found.record_ = TRY(decode_host_record(as_text(text.value())).with_context(path));
  const HostRecord& there = found.record_;
  if (there.store != id || there.host != host)
    return invalid(fmt::format("{} belongs to {}, not to {}: choose another directory", found.path_,
                               there.store == id ? "another host" : "the store " + there.directory,
                               store.directory));
  const bool is_here = there.file_system == place.file_system && there.inode == place.inode;
  found.owner_ = is_here ? Owner::kUs : Owner::kOriginal;
  return found;
}

Status HostDirectory::check_not_original() const {
  if (owner_ != Owner::kOriginal) return {};
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

// Two processes may do so at the same time: a link never replaces, and both write the same.
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
  return files_->sync_directory(path_);
}

Status HostDirectory::check_came_along() const {
  if (owner_ != Owner::kOriginal || absolute(path_).starts_with(us_.directory + "/")) return {};
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

Status HostDirectory::make_folder(const std::string& path) {
  TRY(make());
  return make_durable(*files_, path);
}

}  // namespace ashlar
