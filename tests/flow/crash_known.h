// Known: stores on a simulated disk as their user knows them: snapshots with their bytes, images, and
// exported layouts. It is the model of the battery of crash states, and what an observer finds on a disk.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "catalog/images.h"
#include "catalog/sessions.h"
#include "flow/world.h"
#include "image/contents.h"
#include "image/register.h"
#include "simulated/simulated_file_system.h"
#include "support/battery.h"
#include "transfer/layout_reader.h"

namespace ashlar {

using Content = std::shared_ptr<const ByteVector>;

struct KnownSnapshot {
  bool is_in_bin = false;
  Content bytes;
  friend bool operator==(const KnownSnapshot&, const KnownSnapshot&) = default;
};

struct KnownStore {
  std::map<SnapshotId, KnownSnapshot> snapshots;
  std::map<ImageId, bool> images;  // value: whether it lies in the bin
};

struct Known {
  std::map<std::string, KnownStore> stores;  // by directory
  std::map<std::string, Content> layouts;    // bundles by "directory:tag"
};

inline HostChoice simulated_host() { return {{}, {}, true}; }

// A file in memory that snapshots are restored to, one after the other.
class RestoredFile {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20U;

  RestoredFile() : fd_(::memfd_create("restored", MFD_CLOEXEC)) {
    if (::ftruncate(fd_.get(), kMaxBytes) != 0) std::abort();
    memory_ = ::mmap(nullptr, kMaxBytes, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (memory_ == MAP_FAILED) std::abort();
  }
  ~RestoredFile() { ::munmap(memory_, kMaxBytes); }
  RestoredFile(const RestoredFile&) = delete;
  RestoredFile& operator=(const RestoredFile&) = delete;

  // Returns the bytes of a snapshot, until the next call.
  Result<ByteSpan> restore(Repo& repo, const SnapshotRecord& record) {
    if (record.size.value > kMaxBytes || ::lseek(fd_.get(), 0, SEEK_SET) != 0) return invalid("too large");
    RestoreProgress progress;
    TRY(restore_stream(TRY(repo.read_parts()), record, fd_.get(), progress, {}));
    const off_t end = ::lseek(fd_.get(), 0, SEEK_CUR);
    if (static_cast<std::uint64_t>(end) != record.size.value) return corrupt("it has another size");
    return ByteSpan(static_cast<const std::byte*>(memory_), record.size.value);
  }

 private:
  UniqueFd fd_;
  void* memory_ = nullptr;
};

// Reads the bundle of a layout on any file system.
inline Result<ByteVector> layout_bytes(FileSystem& files, const std::string& place) {
  const std::size_t colon = place.find(':');
  const std::string directory = place.substr(0, colon);
  OciLayoutReader reader = TRY(OciLayoutReader::open(
      [&files, directory](const std::string& name) {
        return files.open(directory + "/" + name, ReadMode::kCached);
      },
      place.substr(colon + 1)));
  ByteVector all;
  ByteVector piece(1 << 16);
  for (;;) {
    const std::size_t got = TRY(reader.read(piece));
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < piece.size()) return all;
  }
}

// Makes a store usable after the writers on it died with their machine, as its user does: takes their
// sessions away, and fails the images that they were making.
inline Result<std::unique_ptr<Repo>> recover(FileSystem& files, const std::string& store) {
  auto repo = TRY(Repo::open(files, StoreAddress{store}, simulated_host()));
  std::vector<Error> unread;
  for (const SessionRecord& session : TRY(list_sessions(repo->objects(), unread)))
    TRY(revoke(repo->objects(), session));
  if (!unread.empty()) return unread.front();
  ImageCatalog images(repo->objects());
  TRY(fail_abandoned_images(images, repo->objects()));
  return repo;
}

// Finds out what is on a disk, and holds it against what may be there: each thing as in `before` or as in
// `after`.
class CrashObserver {
 public:
  CrashObserver(SimulatedFileSystem& files, const Known& before, const Known& after, BatteryTally& tally)
      : files_(files), before_(before), after_(after), tally_(tally) {}

  Known observe() {
    Known now;
    for (const auto& [store, known] : after_.stores) {
      const bool is_old = before_.stores.contains(store);
      static const KnownStore kNone;
      const KnownStore& before = is_old ? before_.stores.at(store) : kNone;
      auto repo = recover(files_, store);
      const bool is_absent =
          is(repo, ErrorCode::kNotFound) || (!repo.ok() && repo.error().kind() == ErrorKind::kNotAStore);
      if (!is_old && is_absent) continue;
      if (repo.ok()) {
        now.stores[store] = observe_store(*repo.value(), before, known);
        repo.value().reset();
        look_for_leftovers(store);
      } else {
        tally_.note(tally_.wrong, store + " is refused: " + repo.error().text());
      }
    }
    for (const auto& [place, bytes] : after_.layouts) observe_layout(place, bytes, now);
    tally_.acked += before_.layouts.size();
    compare(before_.layouts, after_.layouts, now.layouts, [](const std::string& place) { return place; });
    return now;
  }

 private:
  template <class Map, class Name>
  void compare(const Map& before, const Map& after, const Map& now, const Name& name) {
    std::set<typename Map::key_type> keys;
    for (const Map* map : {&before, &after, &now}) {
      for (const auto& [key, value] : *map) keys.insert(key);
    }
    const auto find = [](const Map& map, const auto& key) {
      const auto at = map.find(key);
      return at == map.end() ? std::nullopt : std::optional(at->second);
    };
    for (const auto& key : keys) {
      const auto found = find(now, key);
      if (found == find(before, key) || found == find(after, key)) continue;
      const bool was_known = before.contains(key) && after.contains(key);
      if (!found || was_known) {
        tally_.note(tally_.lost, name(key) + (found ? " is not as it was left" : " is lost"));
      } else {
        tally_.note(tally_.half_visible, name(key) + " is there, and should not be");
      }
    }
  }

  KnownStore observe_store(Repo& repo, const KnownStore& before, const KnownStore& after) {
    KnownStore now;
    tally_.acked += before.snapshots.size() + before.images.size();
    const std::uint64_t wrong = tally_.wrong;
    observe_snapshots(repo, before, after, now);
    const bool has_wrong_bytes = tally_.wrong > wrong;
    observe_images(repo, before, after, now);
    compare(before.snapshots, after.snapshots, now.snapshots, [](SnapshotId id) { return id.text(); });
    compare(before.images, after.images, now.images, [](ImageId id) { return id.text(); });
    verify(repo, has_wrong_bytes);
    return now;
  }

  void observe_snapshots(Repo& repo, const KnownStore& before, const KnownStore& after, KnownStore& now) {
    for (const SnapshotId id : repo.snapshots().list_ids().take()) {
      const auto object = repo.snapshots().read(id);
      if (!object.ok()) {
        tally_.note(tally_.half_visible, id.text() + ": " + object.error().text());
        continue;
      }
      const SnapshotRecord* record = record_of(object.value());
      const auto* gone = std::get_if<GoneSnapshot>(&object.value());
      if (record == nullptr || (gone != nullptr && gone->state != GoneState::kBinned)) continue;
      now.snapshots[id] = {gone != nullptr, content_of(repo, *record, before, after)};
    }
  }

  // Returns the content that the snapshot should have, if it has that.
  Content content_of(Repo& repo, const SnapshotRecord& record, const KnownStore& before,
                     const KnownStore& after) {
    static RestoredFile file;
    const auto bytes = file.restore(repo, record);
    if (!bytes.ok()) {
      tally_.note(tally_.wrong, record.id.text() + ": " + bytes.error().text());
      return nullptr;
    }
    for (const KnownStore* known : {&before, &after}) {
      const auto at = known->snapshots.find(record.id);
      if (at != known->snapshots.end() && bytes_equal(*at->second.bytes, bytes.value()))
        return at->second.bytes;
    }
    tally_.note(tally_.wrong, record.id.text() + " has other bytes");
    return nullptr;
  }

  void observe_images(Repo& repo, const KnownStore& before, const KnownStore& after, KnownStore& now) {
    const ImageCatalog images(repo.objects());
    for (const ImageId id : images.list_ids().take()) {
      const auto image = images.get(id);
      if (!image.ok()) {
        tally_.note(tally_.half_visible, id.text() + ": " + image.error().text());
        continue;
      }
      const ImageState state = image.value().state;
      // A maker that died leaves a failed image, and a purge that died a purged one, which the next purge
      // ends.
      const bool was_made = !before.images.contains(id) && state == ImageState::kFailed;
      const bool is_purged = !after.images.contains(id) && state == ImageState::kPurged;
      if (was_made || is_purged) continue;
      now.images[id] = state == ImageState::kDeregistered;
      if (state == ImageState::kDeregistered) continue;
      Status whole = state == ImageState::kAvailable ? Status() : Status(invalid("it is not available"));
      if (whole.ok()) whole = images.check_name(image.value());
      if (whole.ok()) {
        const auto records = records_of(image.value(), repo.snapshots());
        whole = records.ok() ? check_contents(image.value(), records.value()) : Status(records.error());
      }
      if (!whole.ok()) tally_.note(tally_.half_visible, id.text() + ": " + whole.error().text());
    }
  }

  void verify(Repo& repo, bool has_wrong_bytes) {
    VerifyProgress progress;
    const auto parts = repo.verify_parts();
    const auto report =
        parts.ok() ? verify_all(parts.value(), progress, {}) : Result<VerifyReport>(parts.error());
    if (!report.ok()) {
      tally_.note(tally_.wrong, "verify: " + report.error().text());
      return;
    }
    for (const Damage& damage : report.value().damages)
      tally_.note(tally_.wrong, damage.object + ": " + damage.what);
    if (has_wrong_bytes && report.value().damages.empty())
      tally_.note(tally_.undetected, "verify finds nothing");
  }

  void look_for_leftovers(const std::string& store) {
    const auto entries = files_.list(store + "/incoming");
    if (!entries.ok()) return;
    for (const DirectoryEntry& entry : entries.value()) {
      if (entry.name != "changes.lock")
        tally_.note(tally_.half_visible, store + "/incoming/" + entry.name + " is left");
    }
  }

  void observe_layout(const std::string& place, const Content& expected, Known& now) {
    const std::string index = place.substr(0, place.find(':')) + "/index.json";
    if (is(files_.file_size(index), ErrorCode::kNotFound)) return;  // no tool takes this for a layout
    const auto bytes = layout_bytes(files_, place);
    if (is(bytes, ErrorCode::kNotFound)) return;
    if (bytes.ok() && bytes_equal(bytes.value(), *expected)) {
      now.layouts[place] = expected;
    } else {
      tally_.note(tally_.half_visible, place + ": " + (bytes.ok() ? "other bytes" : bytes.error().text()));
    }
  }

  SimulatedFileSystem& files_;
  const Known& before_;
  const Known& after_;
  BatteryTally& tally_;
};

}  // namespace ashlar
