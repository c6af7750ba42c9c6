#include "repo/repo.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/random.h"
#include "catalog/settings.h"
#include "format/pack_format.h"
#include "repo/unwritable_objects.h"

namespace ashlar {
namespace {

constexpr std::string_view kConfigKey = "ashlar.json";

Status check_init(const InitOptions& options) {
  if (options.frame_blocks == 0 || options.frame_blocks > kMaxFrameBlocks) {
    return invalid(fmt::format("a frame holds 4K to {}K", kMaxFrameBlocks * kBlockBytes / 1024));
  }
  if (options.level < 1 || options.level > 19) return invalid("the zstd level is 1 to 19");
  return {};
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Status make_empty_directory(FileSystem& files, const std::string& path) {
  TRY(files.make_directory(path));
  TRY(files.sync_directory(folder_of(path)));
  const auto entries = TRY(files.list(path));
  if (std::ranges::any_of(entries, [](const DirectoryEntry& entry) { return entry.name == kConfigKey; }))
    return invalid(fmt::format("{} is a store already", path));
  // An init that was cut off leaves these.
  const auto is_left = [](const DirectoryEntry& entry) {
    return entry.name == kSettingsKey || entry.name == "reserve" || entry.name == "incoming";
  };
  if (std::ranges::all_of(entries, is_left)) return {};
  return invalid(fmt::format("{} is not empty: give a new or an empty directory", path));
}

}  // namespace

Repo::~Repo() = default;

Result<StoreConfig> Repo::init(FileSystem& files, const StoreAddress& address, const InitOptions& options) {
  const std::string& path = address.directory;
  TRY(check_init(options));
  TRY(make_empty_directory(files, path));
  StoreConfig config;
  config.id = random_id<StoreId>();
  config.created = UtcTime::now();
  config.frame_blocks = options.frame_blocks;
  config.level = options.level;
  config.region_secret = RegionSecret::random();
  LocalObjectStore objects(files, path);
  // A file system that has no room for the reserve holds a small store without it.
  Status reserved = StoreReserve(files, path).make();
  if (!reserved.ok() && !is(reserved, ErrorCode::kExhausted)) return reserved.take_error();
  Status settings = put_first_settings(objects);
  if (!settings.ok() && !is(settings, ErrorCode::kBusy)) return settings.take_error();
  // This makes it a store.
  TRY(objects.put_if_absent(kConfigKey, as_byte_span(encode(config))));
  return config;
}

Result<std::unique_ptr<Repo>> Repo::open(FileSystem& files, const StoreAddress& address,
                                         const HostChoice& choice) {
  const std::string& path = address.directory;
  std::unique_ptr<Repo> repo(new Repo);
  repo->files_ = &files;
  repo->address_ = address;
  repo->choice_ = choice;
  auto objects = std::make_unique<LocalObjectStore>(files, path);
  auto text = get_object(*objects, kConfigKey, kMaxStoreConfigBytes);
  if (is(text, ErrorCode::kNotFound)) {
    const auto entries = files.list(path);
    if (is(entries, ErrorCode::kNotFound))
      return not_found(fmt::format("{} does not exist: is it mistyped, or not mounted?", path));
    if (!entries.ok()) return invalid(fmt::format("{} is not a directory: a store is one", path));
    return invalid(fmt::format("{} is not a store: it has no {}", path, kConfigKey))
        .about(ErrorKind::kNotAStore, path);
  }
  repo->config_ =
      TRY(decode_store_config(as_text(TRY(std::move(text).with_context(path)))).with_context(path));
  repo->host_ = TRY(HostDirectory::find(files, address, repo->config_.id, choice));
  Status writable = check_writable(repo->config_).with_context(path);
  if (writable.ok()) {
    // Removes files that crashed writers left behind. A store that can't be written is still readable, so a
    // failure here stops nothing.
    best_effort(objects->clear_incoming());
    repo->objects_ = std::move(objects);
  } else {
    repo->objects_ = std::make_unique<UnwritableObjects>(std::move(objects), writable.take_error());
  }
  repo->snapshots_ = std::make_unique<SnapshotCatalog>(*repo->objects_);
  return repo;
}

Result<std::unique_ptr<Repo>> Repo::open_again() const { return open(*files_, address_, choice_); }

Status Repo::open_index() {
  if (index_) return {};
  // A store that can't be written is still readable.
  const bool on_disk = host_->keeps_index() && host_->make().ok();
  auto index = TRY(on_disk ? Index::open(host_->index(), *objects_, config_.hook_rate)
                           : Index::open_in_memory(*objects_, config_.hook_rate));
  TRY(index->catch_up());
  index_ = std::move(index);
  damage_ = std::make_unique<DamagedFrames>(*objects_, config_.id);
  segments_ = std::make_unique<SegmentReader>(*objects_, *index_, damage_.get());
  nodes_ = std::make_unique<MetaStore>(*objects_, *index_, damage_.get());
  return {};
}

std::vector<std::string> Repo::take_damage_notes() {
  return damage_ ? damage_->take_notes() : std::vector<std::string>();
}

StoreReserve Repo::reserve() const { return {*files_, address_.directory}; }

Result<Index*> Repo::index() {
  TRY(open_index());
  return index_.get();
}

Result<SegmentReader*> Repo::segments() {
  TRY(open_index());
  return segments_.get();
}

Result<MetaStore*> Repo::nodes() {
  TRY(open_index());
  return nodes_.get();
}

Result<ReadParts> Repo::read_parts() {
  TRY(open_index());
  // A reader does without the list: it finds by itself what is damaged.
  best_effort(damage_->refresh());
  return ReadParts{*segments_, *nodes_};
}

Result<WriteParts> Repo::write_parts() {
  TRY(open_index());
  return WriteParts{config_, *objects_, *index_, *segments_, *nodes_, *snapshots_, *damage_};
}

Result<VerifyParts> Repo::verify_parts() {
  TRY(open_index());
  return VerifyParts{config_, *objects_, *index_, *snapshots_, *damage_};
}

Result<CatchUpReport> Repo::reindex() {
  TRY(open_index());
  return index_->rebuild();
}

}  // namespace ashlar
