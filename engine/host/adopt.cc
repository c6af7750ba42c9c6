#include "host/adopt.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/incarnation.h"
#include "machine/instances.h"
#include "volume/overlay.h"

namespace ashlar {
namespace {

Result<std::vector<DirectoryEntry>> entries_of(FileSystem& files, const std::string& folder) {
  auto entries = files.list(folder);
  if (is(entries, ErrorCode::kNotFound)) return std::vector<DirectoryEntry>();
  return entries;
}

// Removes a folder with everything in it; links are removed, never followed.
Status remove_tree(FileSystem& files, const std::string& folder) {
  for (const DirectoryEntry& entry : TRY(entries_of(files, folder))) {
    const std::string path = folder + "/" + entry.name;
    TRY(entry.is_directory && !entry.is_link ? remove_tree(files, path) : files.remove(path));
  }
  return remove_if_there(files, folder);
}

Status remove_files(FileSystem& files, const std::string& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) TRY(remove_if_there(files, folder + "/" + name));
  return {};
}

// Opens the overlay, which the adoption then holds alone, and closes it for the copy. Returns whether it is
// sound. Fails with kBusy while another process has it open.
Result<bool> take_over(FileSystem& files, const std::string& directory, VolumeId id) {
  const bool was_closed = is_as_closed(files, directory);
  auto overlay = Overlay::open(files, directory, id);
  if (is(overlay, ErrorCode::kBusy)) return overlay.error();
  if (!was_closed || !overlay.ok()) return false;
  const std::uint64_t life = TRY(begin_life(files, directory));
  if (!overlay.value()->close().ok()) return false;
  TRY(end_life(files, directory, life));
  return true;
}

// Returns a free name for a torn overlay: an adoption before may have set aside another one of the volume.
Result<std::string> free_torn_name(HostDirectory& host, VolumeId id) {
  const std::vector<DirectoryEntry> taken = TRY(entries_of(host.files(), host.torn()));
  std::string name = id.text();
  for (int next = 2; std::ranges::find(taken, name, &DirectoryEntry::name) != taken.end(); ++next)
    name = fmt::format("{}.{}", id.text(), next);
  return host.torn() + "/" + name;
}

Status adopt_overlays(HostDirectory& host, Adoption& adoption) {
  FileSystem& files = host.files();
  for (const DirectoryEntry& entry : TRY(entries_of(files, host.overlays()))) {
    const auto id = VolumeId::parse(entry.name);
    if (!id.ok() || !entry.is_directory) continue;
    const std::string directory = host.overlay(id.value());
    TRY(remove_files(files, directory, {"control"}));
    if (TRY(take_over(files, directory, id.value()))) {
      adoption.kept.push_back(id.value());
      continue;
    }
    TRY(files.make_directory(host.torn()));
    TRY(files.sync_directory(host.path()));
    TRY(files.rename(directory, TRY(free_torn_name(host, id.value()))));
    TRY(files.sync_directory(host.torn()));
    TRY(files.sync_directory(host.overlays()));
  }
  for (const DirectoryEntry& entry : TRY(entries_of(files, host.torn()))) {
    const auto id = VolumeId::parse(entry.name.substr(0, entry.name.find('.')));
    if (id.ok() && (adoption.torn.empty() || adoption.torn.back() != id.value()))
      adoption.torn.push_back(id.value());
  }
  return remove_files(files, host.overlays(), {"control", "nbd.sock", "serve.log"});
}

bool has_files(const InstanceRecord& record) {
  return std::ranges::any_of(record.devices, [](const InstanceDevice& one) { return !one.file.empty(); });
}

// Notes durably that the files of a machine may be torn: once its record says "stopped", an adoption that
// goes on after a cut finds only the note.
Status note_torn_files(HostDirectory& host, InstanceId id) {
  TRY(host.files().make_directory(host.torn()));
  TRY(host.files().sync_directory(host.path()));
  const auto note = host.files().create(host.torn(id));
  if (!note.ok() && note.error().error_number() != EEXIST) return note.error();
  return host.files().sync_directory(host.torn());
}

// Lists the notes in adoption.torn_files. They are removed once the directory is the copy's own.
Status list_torn_files(HostDirectory& host, Adoption& adoption) {
  for (const DirectoryEntry& entry : TRY(entries_of(host.files(), host.torn()))) {
    if (const auto id = InstanceId::parse(entry.name); id.ok()) adoption.torn_files.push_back(id.value());
  }
  return {};
}

Status adopt_machines(HostDirectory& host, Adoption& adoption) {
  FileSystem& files = host.files();
  Instances instances(files, host.instances());
  for (const InstanceId id : TRY(instances.list())) {
    TRY(remove_files(files, instances.directory(id), {"qmp.sock"}));
    auto loaded = instances.load(id);
    if (is(loaded, ErrorCode::kNotFound)) continue;  // a launch that was cut off
    if (!loaded.ok()) {
      adoption.damaged.push_back(loaded.error().text());
      continue;
    }
    InstanceRecord record = loaded.take();
    if (record.wish == InstanceWish::kRunning && has_files(record)) TRY(note_torn_files(host, id));
    if (record.wish == InstanceWish::kRunning) record.wish = InstanceWish::kStopped;
    record.process.reset();
    TRY(instances.save(record));
    adoption.machines.push_back(id);
  }
  return list_torn_files(host, adoption);
}

}  // namespace

Result<Adoption> adopt(Repo& repo) {
  HostDirectory& host = repo.host();
  Adoption adoption;
  adoption.was_copy = host.owner() == HostDirectory::Owner::kOriginal;
  if (!adoption.was_copy) return adoption;
  adoption.original = host.record().directory;
  TRY(host.check_came_along());
  const auto lock = TRY(host.files().lock(host.path() + "/adopt.lock"));
  // Another process may have adopted the store between the opening of `repo` and the lock. What is there now
  // is then the copy's own.
  adoption.was_copy = TRY(repo.open_again())->host().owner() == HostDirectory::Owner::kOriginal;
  if (!adoption.was_copy) return adoption;
  for (const std::string& folder : {host.attachments(), host.index(), host.scratch()})
    TRY(remove_tree(host.files(), folder));
  TRY(adopt_overlays(host, adoption));
  TRY(adopt_machines(host, adoption));
  TRY(host.files().sync_directory(host.path()));
  TRY(host.claim());
  for (const InstanceId id : adoption.torn_files) best_effort(host.files().remove(host.torn(id)));
  best_effort(host.files().remove(host.path() + "/adopt.lock"));
  return adoption;
}

}  // namespace ashlar
