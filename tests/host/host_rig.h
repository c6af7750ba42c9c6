// HostRig: a store with one snapshot on a simulated disk, as one host sees it.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "base/random.h"
#include "capture/capture.h"
#include "host/host.h"
#include "simulated/simulated_file_system.h"
#include "source/source.h"
#include "support/temporary_directory.h"

namespace ashlar {

inline constexpr std::uint64_t kRigBytes = 300 * kBlockBytes;

struct HostRig {
  HostRig() {
    EXPECT_TRUE(Repo::init(files, StoreAddress{"/store"}, {}).ok());
    open();
    std::vector<std::byte> bytes(kRigBytes);
    Prng(5).fill(bytes);
    std::ofstream(scratch / "disk", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    const WriteParts parts = repo->write_parts().take();
    const auto source = open_source(scratch / "disk", {}).take();
    CaptureProgress progress;
    snapshot = capture(parts, *source, {}, progress, {}).take().record.id;
    image = std::move(bytes);
    volumes->catch_up().take();
  }
  // Opens the store as a new process would.
  void open() {
    volumes.reset();
    repo = Repo::open(files, StoreAddress{"/store"}, {{}, {}, true}).take();
    volumes = std::make_unique<Volumes>(*repo, 4 << 20);
  }
  std::vector<std::byte> bytes_of(VolumeId id) {
    const auto volume = volumes->open(id).take();
    std::vector<std::byte> out(volume->size().value);
    EXPECT_TRUE(volume->read(ByteOffset{}, out).ok());
    EXPECT_TRUE(volume->overlay().close().ok());
    return out;
  }

  TemporaryDirectory scratch;
  SimulatedFileSystem files;
  std::unique_ptr<Repo> repo;
  std::unique_ptr<Volumes> volumes;
  SnapshotId snapshot;
  std::vector<std::byte> image;
};

}  // namespace ashlar
