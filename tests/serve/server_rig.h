// NbdClient and helpers: what the tests of the server share (a libnbd client, raw sockets, random bytes,
// child programs).
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libnbd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/random.h"
#include "serve/nbd_server.h"
#include "support/memory_export.h"
#include "support/temporary_directory.h"

namespace ashlar {

inline constexpr std::uint64_t kMiB = 1U << 20U;

inline ByteVector random_bytes(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

inline std::unique_ptr<NbdServer> must_start(ExportList& exports, ListenAddress address,
                                             NbdLimits limits = {},
                                             std::shared_ptr<const TlsCredentials> tls = nullptr,
                                             unsigned loops = 0) {
  Result<std::unique_ptr<NbdServer>> server =
      NbdServer::start(exports, std::move(address), {limits, loops, std::move(tls)});
  EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().text());
  return server.ok() ? server.take() : nullptr;
}

inline sockaddr_un unix_socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

inline UniqueFd bound_unix_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_socket_address(path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return fd;
}

inline UniqueFd connected_unix_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_socket_address(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return fd;
}

// Waits until `predicate` holds, which another thread brings about. Returns false, which fails the test,
// after ten seconds.
template <class Predicate>
bool eventually(Predicate predicate) {
  for (int i = 0; i < 1000 && !predicate(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return predicate();
}

inline std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t pages = 0;
  in >> pages >> pages;
  return pages * 4096;
}

// Returns all bytes up to the end that the server makes of the connection.
inline ByteVector read_to_end(int fd) {
  ByteVector all;
  std::array<std::byte, 4096> part{};
  for (ssize_t got; (got = ::recv(fd, part.data(), part.size(), 0)) > 0;)
    all.insert(all.end(), part.begin(), part.begin() + got);
  return all;
}

// Raises the limit of open files of this process. Returns false when the host does not allow that many.
inline bool allow_open_files(rlim_t count) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur >= count;
}

struct Outcome {
  int status;
  std::string text;  // stdout and stderr together
};
inline Outcome run_command(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(("(" + command + ") 2>&1").c_str(), "r");
  std::array<char, 4096> part{};
  for (std::size_t got; (got = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
    text.append(part.data(), got);
  return {::pclose(pipe), text};
}

class NbdClient {
 public:
  explicit NbdClient(const std::string& uri, const std::vector<std::string>& contexts = {})
      : handle_(nbd_create()) {
    for (const std::string& context : contexts) nbd_add_meta_context(handle_, context.c_str());
    EXPECT_EQ(nbd_connect_uri(handle_, uri.c_str()), 0) << nbd_get_error();
  }
  NbdClient(const NbdClient&) = delete;
  NbdClient& operator=(const NbdClient&) = delete;
  ~NbdClient() { nbd_close(handle_); }

  nbd_handle* handle() { return handle_; }

  bool write(std::uint64_t offset, const ByteVector& bytes, std::uint32_t flags = 0) {
    return nbd_pwrite(handle_, bytes.data(), bytes.size(), offset, flags) == 0;
  }
  bool zero(std::uint64_t offset, std::uint64_t bytes) { return nbd_zero(handle_, bytes, offset, 0) == 0; }
  bool trim(std::uint64_t offset, std::uint64_t bytes) { return nbd_trim(handle_, bytes, offset, 0) == 0; }
  ByteVector read(std::uint64_t offset, std::size_t size) {
    ByteVector out(size, std::byte{0xee});
    EXPECT_EQ(nbd_pread(handle_, out.data(), out.size(), offset, 0), 0) << nbd_get_error();
    return out;
  }

  void start_read(std::uint64_t offset, ByteVector& out) {
    EXPECT_GE(nbd_aio_pread(handle_, out.data(), out.size(), offset, NBD_NULL_COMPLETION, 0), 0)
        << nbd_get_error();
  }
  // Waits until all started requests are sent.
  void send_all() {
    while (nbd_aio_get_direction(handle_) == LIBNBD_AIO_DIRECTION_BOTH) nbd_poll(handle_, 10);
  }
  void finish_reads() {
    while (nbd_aio_in_flight(handle_) > 0) ASSERT_GE(nbd_poll(handle_, 10'000), 0) << nbd_get_error();
    for (std::int64_t cookie; (cookie = nbd_aio_peek_command_completed(handle_)) > 0;) {
      EXPECT_EQ(nbd_aio_command_completed(handle_, static_cast<std::uint64_t>(cookie)), 1) << nbd_get_error();
    }
  }

  using Pieces = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  Pieces status(const std::string& context, std::uint64_t offset, std::uint64_t bytes,
                std::uint32_t flags = 0) {
    struct Found {
      std::string context;
      Pieces pieces;
    } found{context, {}};
    const auto extent = [](void* data, const char* name, std::uint64_t, std::uint32_t* entries,
                           std::size_t count, int*) {
      auto& into = *static_cast<Found*>(data);
      for (std::size_t i = 0; into.context == name && i + 1 < count; i += 2)
        into.pieces.emplace_back(entries[i], entries[i + 1]);
      return 0;
    };
    EXPECT_EQ(nbd_block_status(handle_, bytes, offset, {extent, &found, nullptr}, flags), 0)
        << nbd_get_error();
    return found.pieces;
  }

 private:
  nbd_handle* handle_;
};

}  // namespace ashlar
