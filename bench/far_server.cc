// Serves a new volume of a snapshot from a store that is far away: each read of a pack, trace or boot pack
// takes DELAY more. bench/volumes.py boots machines from it.
//
//   far_server STORE SNAPSHOT SOCKET DELAY-MS       runs until SIGTERM, then prints counters as JSON
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "host/volumes.h"
#include "serve/nbd_server.h"
#include "serve/volume_export.h"

namespace ashlar {
namespace {

struct Distance {
  std::atomic<bool> is_far{false};
  std::chrono::milliseconds delay{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes{0};
};

class FarFile : public ReadableFile {
 public:
  FarFile(std::unique_ptr<ReadableFile> inner, Distance& distance)
      : inner_(std::move(inner)), distance_(distance) {}
  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    if (distance_.is_far) {
      ++distance_.requests;
      distance_.bytes += out.size();
      std::this_thread::sleep_for(distance_.delay);
    }
    return inner_->read_at(offset, out);
  }
  Result<std::uint64_t> size() const override { return inner_->size(); }

 private:
  std::unique_ptr<ReadableFile> inner_;
  Distance& distance_;
};

class FarFileSystem : public FileSystem {
 public:
  explicit FarFileSystem(Distance& distance) : distance_(distance) {}
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override {
    auto file = TRY(inner_.open(path, mode));
    for (const char* folder : {"/packs/", "/meta/", "/traces/", "/boot/"}) {
      if (path.find(folder) != std::string::npos) {
        return std::unique_ptr<ReadableFile>(std::make_unique<FarFile>(std::move(file), distance_));
      }
    }
    return file;
  }
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    return inner_.create(path);
  }
  Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) override {
    return inner_.create_random(path, bytes);
  }
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return inner_.open_random(path);
  }
  Status rename(const std::string& from, const std::string& to) override { return inner_.rename(from, to); }
  Status link(const std::string& from, const std::string& to) override { return inner_.link(from, to); }
  Status remove(const std::string& path) override { return inner_.remove(path); }
  Status make_directory(const std::string& path) override { return inner_.make_directory(path); }
  Status sync_directory(const std::string& path) override { return inner_.sync_directory(path); }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override { return inner_.list(path); }
  Result<std::uint64_t> file_size(const std::string& path) override { return inner_.file_size(path); }
  Result<FilePlace> place_of(const std::string& path) override { return inner_.place_of(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return inner_.lock(path); }

 private:
  FileSystem& inner_ = posix_file_system();
  Distance& distance_;
};

class OneExport : public ExportList {
 public:
  explicit OneExport(std::shared_ptr<Export> only) : only_(std::move(only)) {}
  std::vector<std::string> names() override { return {""}; }
  Result<std::shared_ptr<Export>> find(const std::string& /*name*/) override { return only_; }

 private:
  std::shared_ptr<Export> only_;
};

void wait_for_sigterm(const sigset_t& wanted) {
  int got = 0;
  sigwait(&wanted, &got);
}

Status serve(Distance& distance, char** words, const sigset_t& wanted) {
  FarFileSystem files(distance);
  const auto repo = TRY(Repo::open(files, StoreAddress{words[1]}, {}));
  Volumes volumes(*repo);
  TRY(volumes.images().prepare());
  const VolumeRecord record = TRY(volumes.create({TRY(SnapshotId::parse(words[2])), {}, "far", {}, {}}));
  const std::shared_ptr<Volume> volume = TRY(volumes.open(record.id));
  distance.is_far = true;
  const auto warm_up = TRY(volumes.warm_up(record.id, *volume));
  ExportPools pools;
  OneExport exports(std::make_shared<VolumeExport>(volume, pools));
  warm_up->prepare();
  std::jthread warmer([&](const std::stop_token& stop) { warm_up->run(stop); });
  const auto server = TRY(NbdServer::start(exports, UnixAddress{words[3]}, {}));
  std::puts("ready");
  std::fflush(stdout);
  wait_for_sigterm(wanted);
  server->stop();
  const std::uint64_t requests = distance.requests;
  const std::uint64_t bytes = distance.bytes;
  distance.is_far = false;
  warmer = {};
  warm_up->finish();
  const Volume::Counters& counters = volume->counters();
  fmt::print(
      "{{\"requests\": {}, \"bytes\": {}, \"missed_reads\": {}, \"reads\": {}, \"stalled_seconds\": {:.3f}, "
      "\"boot_pack\": {}}}\n",
      requests, bytes, counters.missed_reads.load(), counters.reads.load(),
      static_cast<double>(counters.stalled_ns.load()) / 1e9, warm_up->counters().from_boot_pack.load());
  return volume->overlay().close();
}

}  // namespace
}  // namespace ashlar

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: far_server STORE SNAPSHOT SOCKET DELAY-MS\n");
    return 2;
  }
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGINT);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  ashlar::Distance distance;
  distance.delay = std::chrono::milliseconds(std::atoi(argv[4]));
  const ashlar::Status served = ashlar::serve(distance, argv, wanted);
  if (!served.ok()) std::fprintf(stderr, "far_server: %s\n", served.error().text().c_str());
  return served.ok() ? 0 : 1;
}
