// The battery of crash states: flows of an operator's steps on a simulated disk, with a power cut before any
// operation, in any state that the disk may be in afterwards, and a second cut in the recovery. Each flow
// prints its counts as a line of JSON. ASHLAR_LONG_TESTS=1 takes ten times as many states, from a seed of its
// own.
#include "action/bin.h"
#include "action/collect.h"
#include "action/disks.h"
#include "action/image_transfers.h"
#include "action/images.h"
#include "action/snapshots.h"
#include "flow/crash_battery.h"
#include "transfer/layout_writer.h"

namespace ashlar {
namespace {

const std::string kHere = "/here";
const std::string kThere = "/there";

// A disk of this host, and its bytes.
struct HostDisk {
  std::string path;
  Content bytes;
};

// Returns a snapshot with this content.
std::optional<SnapshotId> snapshot_with(const KnownStore& store, const Content& bytes, bool is_in_bin) {
  for (const auto& [id, snapshot] : store.snapshots) {
    if (snapshot == KnownSnapshot{is_in_bin, bytes}) return id;
  }
  return std::nullopt;
}
std::optional<ImageId> image_in(const KnownStore& store, bool is_in_bin) {
  for (const auto& [id, binned] : store.images) {
    if (binned == is_in_bin) return id;
  }
  return std::nullopt;
}

CrashStep init_step(const std::string& store) {
  return {"init " + store, [store](Stage& stage) -> Status {
            if (stage.known.stores.contains(store)) return {};
            TRY(Repo::init(stage.files, StoreAddress{store}, {}));
            stage.known.stores[store];
            return {};
          }};
}

CrashStep capture_step(const HostDisk& disk, const Content& parent = nullptr) {
  return {"capture", [disk, parent](Stage& stage) -> Status {
            if (!stage.known.stores.contains(kHere)) return {};
            Repo& repo = *TRY(stage.repo(kHere));
            KnownStore& known = stage.known.stores[kHere];
            CaptureOptions options;
            options.threads = 1;
            if (const auto id = parent ? snapshot_with(known, parent, false) : std::nullopt)
              options.parent = TRY(repo.snapshots().get(*id));
            const auto source = TRY(open_source(disk.path, {}));
            CaptureProgress progress;
            const CaptureReport report =
                TRY(capture(TRY(stage.write_parts(kHere)), *source, options, progress, {}));
            known.snapshots[report.record.id] = {false, disk.bytes};
            return {};
          }};
}

CrashStep recover_step() {
  return {"recover", [](Stage& stage) -> Status {
            TRY(recover(stage.files, kHere));
            return {};
          }};
}

CrashStep delete_step(const Content& bytes) {
  return {"delete", [bytes](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            const auto id = snapshot_with(known, bytes, false);
            if (!id) return {};
            Status deleted = delete_snapshot(*TRY(stage.repo(kHere)), stage.caller(), *id);
            if (is(deleted, ErrorCode::kBusy) && image_in(known, false)) return {};  // the image needs it
            TRY(std::move(deleted));
            known.snapshots[*id].is_in_bin = true;
            return {};
          }};
}

CrashStep restore_step(const Content& bytes) {
  return {"restore from the bin", [bytes](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            const auto id = snapshot_with(known, bytes, true);
            if (!id) return {};
            TRY(restore_snapshot_from_bin(*TRY(stage.repo(kHere)), stage.caller(), *id));
            known.snapshots[*id].is_in_bin = false;
            return {};
          }};
}

CrashStep purge_step() {
  return {"purge", [](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            TRY(purge_bin(*TRY(stage.repo(kHere)), stage.caller(), PurgeAge::kAny, PurgeClock::kIsRight));
            std::erase_if(known.snapshots, [](const auto& one) { return one.second.is_in_bin; });
            std::erase_if(known.images, [](const auto& one) { return one.second; });
            return {};
          }};
}

CrashStep collect_step() {
  return {"collect", [](Stage& stage) -> Status {
            CollectOptions options;
            options.max_live_percent = 100;  // all that is needed moves to new packs
            options.threads = 1;
            options.look_every = {};
            const auto done = collect_store(*TRY(stage.repo(kHere)), stage.caller(), options);
            return done.ok() ? Status() : Status(done.error());
          }};
}

CrashStep register_step(const std::vector<Content>& disks) {
  return {"image register", [disks](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            RegisterImage wanted;
            wanted.name = fmt::format("registered-{}", random_u64());
            for (const Content& bytes : disks) {
              const auto id = snapshot_with(known, bytes, false);
              if (!id || image_in(known, false)) return {};
              ImageDevice& device = wanted.devices.emplace_back();
              device.name = fmt::format("/dev/sd{}", static_cast<char>('a' + wanted.devices.size() - 1));
              device.content.snapshot = *id;
            }
            const ImageRecord made = TRY(register_image(*TRY(stage.repo(kHere)), stage.caller(), wanted));
            known.images[made.id] = false;
            return {};
          }};
}

// The name is the same each time, and so has to be free after a try that was cut off.
CrashStep capture_image_step(const std::vector<HostDisk>& disks, const std::string& name) {
  return {"image capture", [disks, name](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            if (image_in(known, false)) return {};
            CaptureImage wanted;
            wanted.name = name;
            for (const HostDisk& disk : disks) {
              const std::string device =
                  fmt::format("/dev/sd{}", static_cast<char>('a' + wanted.disks.size()));
              wanted.disks.push_back({device, disk.path});
            }
            Repo& repo = *TRY(stage.repo(kHere));
            const ImageRecord image = TRY(capture_image(repo, stage.caller(), wanted));
            known.images[image.id] = false;
            for (std::size_t i = 0; i < disks.size(); ++i)
              known.snapshots[image.devices[i].content.snapshot] = {false, disks[i].bytes};
            return {};
          }};
}

CrashStep deregister_step(ImageSnapshots snapshots) {
  return {"image deregister", [snapshots](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            const auto id = image_in(known, false);
            if (!id) return {};
            const auto done = TRY(deregister_image(*TRY(stage.repo(kHere)), stage.caller(), *id, snapshots));
            known.images[*id] = true;
            for (const SnapshotId snapshot : done.deleted) known.snapshots[snapshot].is_in_bin = true;
            return {};
          }};
}

CrashStep restore_image_step() {
  return {"restore the image from the bin", [](Stage& stage) -> Status {
            KnownStore& known = stage.known.stores[kHere];
            const auto id = image_in(known, true);
            if (!id) return {};
            Repo& repo = *TRY(stage.repo(kHere));
            for (auto& [snapshot, state] : known.snapshots) {
              if (!state.is_in_bin) continue;
              TRY(restore_snapshot_from_bin(repo, stage.caller(), snapshot));
              state.is_in_bin = false;
            }
            TRY(restore_image_from_bin(repo, stage.caller(), *id));
            known.images[*id] = false;
            return {};
          }};
}

// Adds an image that came into the store kThere, and its snapshots, whose bytes are those of `disks`.
void add_arrived(KnownStore& known, const ImageCopyReport& report, const std::vector<HostDisk>& disks) {
  known.images[report.image.id] = false;
  for (std::size_t i = 0; i < disks.size(); ++i)
    known.snapshots[report.image.devices[i].content.snapshot] = {false, disks[i].bytes};
}

NewCopy fresh_name() { return {fmt::format("copy-{}", random_u64()), false, true}; }

CrashStep copy_step(const std::vector<HostDisk>& disks) {
  return {"image copy", [disks](Stage& stage) -> Status {
            const ImageId id = image_in(stage.known.stores[kHere], false).value();
            const auto report = TRY(copy_image(*TRY(stage.repo(kHere)), stage.caller(),
                                               *TRY(stage.repo(kThere)), stage.caller(), id, fresh_name()));
            add_arrived(stage.known.stores[kThere], report, disks);
            return {};
          }};
}

// Exports into a layout on the simulated disk, as export_image_layout() does on that of the host.
CrashStep export_step(const std::string& directory, const std::string& tag) {
  return {"image export", [directory, tag](Stage& stage) -> Status {
            const std::string place = directory + ":" + tag;
            if (stage.known.layouts.contains(place)) return {};
            const ImageId id = image_in(stage.known.stores[kHere], false).value();
            const auto writer = TRY(OciLayoutWriter::begin(stage.files, directory, tag, 50'000));
            auto bundle = std::make_shared<ByteVector>();
            const BundleOutput output{[&](ByteSpan bytes) {
                                        bundle->insert(bundle->end(), bytes.begin(), bytes.end());
                                        return writer->append(bytes);
                                      },
                                      [&] { return writer->cut(); }};
            const auto done = TRY(export_image(*TRY(stage.repo(kHere)), stage.caller(), {id, {}}, output));
            TRY(writer->finish({{}, done.image.name, done.image.created, id, {}}));
            stage.known.layouts[place] = std::move(bundle);
            return {};
          }};
}

CrashStep import_step(const std::string& place, const std::vector<HostDisk>& disks) {
  return {"image import", [place, disks](Stage& stage) -> Status {
            const ByteSpan bundle = *stage.known.layouts.at(place);
            std::size_t at = 0;
            const ReadBytes read = [&](MutableByteSpan out) -> Result<std::size_t> {
              const std::size_t size = std::min(out.size(), bundle.size() - at);
              if (size > 0) std::memcpy(out.data(), bundle.data() + at, size);
              at += size;
              return size;
            };
            const auto report =
                TRY(import_image(*TRY(stage.repo(kThere)), stage.caller(), fresh_name(), read));
            add_arrived(stage.known.stores[kThere], report, disks);
            return {};
          }};
}

class CrashStates : public CrashBattery {
 protected:
  void SetUp() override {
    Prng prng(31);
    disks_.push_back(make_disk(prng, {}));
    disks_.push_back(make_disk(prng, *disks_[0].bytes));
    disks_.push_back(make_disk(prng, *disks_[1].bytes));
    disks_.push_back(make_disk(prng, {}));
  }

  // Makes a disk of two leaves, blank for the most part, that differs from one with `bytes` in some places.
  HostDisk make_disk(Prng& prng, ByteVector bytes) {
    bytes.resize(300UL << 10U);
    for (int i = 0; i < 4; ++i)
      prng.fill(MutableByteSpan(bytes).subspan(prng.below(37) * kBlockBytes * 2, 2 * kBlockBytes));
    const std::string path = directory_ / fmt::format("disk-{}", disks_.size());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return {path, std::make_shared<const ByteVector>(std::move(bytes))};
  }
  const Content& bytes(std::size_t disk) const { return disks_[disk].bytes; }
  std::vector<HostDisk> first_and_last() const { return {disks_[0], disks_[3]}; }

  void check_flow(const std::string& name, const std::vector<CrashStep>& setup,
                  std::vector<CrashStep> steps) {
    std::vector<std::unique_ptr<RecordedFlow>> flows;
    flows.push_back(recorded(setup, std::move(steps)));
    check(name, flows);
  }

  TemporaryDirectory directory_;
  std::vector<HostDisk> disks_;
};

TEST_F(CrashStates, Init) { check_flow("init", {}, {init_step(kHere), capture_step(disks_[0])}); }

TEST_F(CrashStates, Capture) {
  check_flow("capture", {init_step(kHere), capture_step(disks_[0])},
             {capture_step(disks_[1], bytes(0)), capture_step(disks_[0]), capture_step(disks_[3]),
              capture_step(disks_[2], bytes(1))});
}

// The index is a cache of its own, which a power cut may leave in an older or a newer state than the packs.
TEST_F(CrashStates, CaptureWithAStaleIndex) {
  std::vector<std::unique_ptr<RecordedFlow>> flows;
  flows.push_back(recorded(
      {init_step(kHere), capture_step(disks_[0])},
      {capture_step(disks_[1], bytes(0)), capture_step(disks_[3]), capture_step(disks_[2], bytes(1))}));
  flows.front()->has_stale_index = true;
  check("capture with a stale index", flows);
}

TEST_F(CrashStates, Delete) {
  check_flow("delete",
             {init_step(kHere), capture_step(disks_[0]), capture_step(disks_[1], bytes(0)),
              capture_step(disks_[2], bytes(1)), capture_step(disks_[3]), register_step({bytes(3)})},
             {delete_step(bytes(1)), deregister_step(ImageSnapshots::kKeep), delete_step(bytes(3)),
              restore_step(bytes(1)), restore_step(bytes(3)), restore_image_step(),
              deregister_step(ImageSnapshots::kDelete)});
}

TEST_F(CrashStates, Bin) {
  check_flow("bin",
             {init_step(kHere), capture_image_step(first_and_last(), "web"), capture_step(disks_[1]),
              delete_step(bytes(1)), deregister_step(ImageSnapshots::kDelete)},
             {restore_step(bytes(1)), restore_image_step(), delete_step(bytes(1)), restore_step(bytes(1))});
}

TEST_F(CrashStates, Purge) {
  check_flow(
      "purge",
      {init_step(kHere), capture_image_step(first_and_last(), "web"), capture_step(disks_[1]),
       capture_step(disks_[2], bytes(1)), delete_step(bytes(1)), deregister_step(ImageSnapshots::kDelete)},
      {purge_step(), delete_step(bytes(2)), purge_step()});
}

TEST_F(CrashStates, Collect) {
  check_flow("collect",
             {init_step(kHere), capture_step(disks_[0]), capture_step(disks_[1], bytes(0)),
              capture_step(disks_[3]), delete_step(bytes(0))},
             {purge_step(), collect_step(), capture_step(disks_[2], bytes(1)), delete_step(bytes(3)),
              purge_step(), collect_step(), collect_step()});
}

TEST_F(CrashStates, CreateImage) {
  check_flow("image create", {init_step(kHere)},
             {capture_step(disks_[1]), register_step({bytes(1)}), deregister_step(ImageSnapshots::kKeep),
              capture_image_step(first_and_last(), "web")});
}

TEST_F(CrashStates, Copy) {
  check_flow("copy", {init_step(kHere), init_step(kThere), capture_image_step(first_and_last(), "web")},
             {copy_step(first_and_last()), copy_step(first_and_last())});
}

TEST_F(CrashStates, Export) {
  check_flow(
      "export", {init_step(kHere), capture_image_step(first_and_last(), "web")},
      {export_step("/layout", "first"), export_step("/layout", "second"), export_step("/other", "third")});
}

TEST_F(CrashStates, Import) {
  check_flow("import",
             {init_step(kHere), init_step(kThere), capture_image_step(first_and_last(), "web"),
              export_step("/layout", "web")},
             {import_step("/layout:web", first_and_last()), import_step("/layout:web", first_and_last())});
}

// Stores that a power cut left with sessions, files and half an image are recovered and used, and fall again.
TEST_F(CrashStates, Recovery) {
  const CrashStep web = capture_image_step(first_and_last(), "web");
  const auto broken = recorded({init_step(kHere), capture_step(disks_[1])}, {web});
  std::vector<std::unique_ptr<RecordedFlow>> flows;
  for (std::uint64_t cut = broken->begin + 9; cut < broken->files.operations(); cut += 35)
    flows.push_back(recorded_after(*broken, cut, {recover_step(), purge_step(), web}));
  check("recovery", flows);
}

}  // namespace
}  // namespace ashlar
