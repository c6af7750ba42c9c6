// Tests of the server with the NBD programs that people use.
#include <gtest/gtest.h>

#include "server_rig.h"

namespace ashlar {
namespace {

class ProgramsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"nbdinfo", "nbdcopy", "qemu-img", "qemu-io"}) {
      if (run_command(std::string("command -v ") + program).status != 0) GTEST_SKIP() << "needs " << program;
    }
    exports_.add("", disk_);
    exports_.add("frozen", std::make_shared<MemoryExport>(3 * kMiB + 512, true));
    server_ = must_start(exports_, UnixAddress{directory_ / "sock"});
  }

  std::string uri(const std::string& name = "") const {
    return "'nbd+unix:///" + name + "?socket=" + (directory_ / "sock") + "'";
  }
  // Makes a sparse image with three ranges of data in 64 MiB and returns its path.
  std::string make_image() const {
    const std::string path = directory_ / "image";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), 64 * kMiB), 0);
    for (const std::uint64_t at : {0 * kMiB, 5 * kMiB + 4096, 63 * kMiB}) {
      const ByteVector bytes = random_bytes(kMiB, at);
      EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(bytes.size()));
    }
    return path;
  }

  const TemporaryDirectory directory_;
  std::shared_ptr<MemoryExport> disk_ = std::make_shared<MemoryExport>(64 * kMiB);
  MemoryExports exports_;
  std::unique_ptr<NbdServer> server_;
};

TEST_F(ProgramsTest, NbdinfoTellsWhatAnExportCanDo) {
  const Outcome about = run_command("nbdinfo " + uri());
  EXPECT_EQ(about.status, 0) << about.text;
  for (const char* line : {"export-size: 67108864", "base:allocation", "ashlar:dirty", "is_read_only: false",
                           "can_multi_conn: true", "can_fast_zero: true", "can_df: true", "can_cache: true",
                           "can_fua: true", "block_size_maximum: 33554432"}) {
    EXPECT_NE(about.text.find(line), std::string::npos) << line << " in\n" << about.text;
  }
  const Outcome all = run_command("nbdinfo --list " + uri());
  EXPECT_NE(all.text.find("export=\"frozen\""), std::string::npos) << all.text;
  EXPECT_NE(run_command("nbdinfo " + uri("nobody")).status, 0);
}

TEST_F(ProgramsTest, NbdcopyThereAndBack) {
  const std::string image = make_image();
  const std::string back = directory_ / "back";
  Outcome copied = run_command("nbdcopy --flush '" + image + "' " + uri());
  ASSERT_EQ(copied.status, 0) << copied.text;
  EXPECT_GT(disk_->flushes(), 0U);
  copied = run_command("nbdcopy " + uri() + " '" + back + "'");
  ASSERT_EQ(copied.status, 0) << copied.text;
  EXPECT_EQ(run_command("cmp '" + image + "' '" + back + "'").status, 0);
  const Outcome map = run_command("nbdinfo --map --totals " + uri());
  EXPECT_NE(map.text.find("3145728   4.7%   0 data"), std::string::npos) << map.text;
}

TEST_F(ProgramsTest, QemuImgConvertsAndMaps) {
  const std::string image = make_image();
  const std::string back = directory_ / "back";
  Outcome done = run_command("qemu-img convert -n -W -m 16 -f raw -O raw '" + image + "' " + uri());
  ASSERT_EQ(done.status, 0) << done.text;
  done = run_command("qemu-img compare -f raw -F raw '" + image + "' " + uri());
  EXPECT_EQ(done.status, 0) << done.text;
  done = run_command("qemu-img convert -f raw -O raw " + uri() + " '" + back + "'");
  ASSERT_EQ(done.status, 0) << done.text;
  EXPECT_EQ(run_command("cmp '" + image + "' '" + back + "'").status, 0);
  done = run_command("qemu-img map -f raw --output=json " + uri());
  EXPECT_NE(
      done.text.find(R"({ "start": 5246976, "length": 1048576, "depth": 0, "present": true, "zero": false)"),
      std::string::npos)
      << done.text;
  done = run_command("qemu-img info -f raw " + uri("frozen"));
  EXPECT_NE(done.text.find("(3146240 bytes)"), std::string::npos) << done.text;
}

TEST_F(ProgramsTest, QemuIoWritesZeroesAndTrims) {
  const Outcome done = run_command(
      "qemu-io -f raw -c 'write -P 0xaa 0 1M' -c 'write -f -P 0xbb 512 512' -c 'write -z 64k 64k' "
      "-c 'write -z -u 256k 64k' -c 'discard 512k 64k' -c 'flush' -c 'read -P 0xaa 0 512' "
      "-c 'read -P 0xbb 512 512' -c 'read -P 0 64k 64k' -c 'read -P 0 256k 64k' -c 'read -P 0 512k 64k' "
      "-c 'read -P 0xaa 128k 128k' -c 'aio_read 0 1M' -c 'aio_read 1M 1M' -c 'aio_flush' " +
      uri());
  EXPECT_EQ(done.status, 0) << done.text;
  EXPECT_EQ(done.text.find("failed"), std::string::npos) << done.text;
  EXPECT_EQ(done.text.find("rror"), std::string::npos) << done.text;
  EXPECT_NE(run_command("qemu-io -f raw -c 'write 0 512' " + uri("frozen")).status, 0);
}

}  // namespace
}  // namespace ashlar
