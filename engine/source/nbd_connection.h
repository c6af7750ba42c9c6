// NbdConnection: one connection to an NBD server through libnbd, both for calls that wait and for many reads
// in flight. Internal to the module.
//
// Any thread may call. An internal lock guards the handle. Only calls that wait for the server (block_status)
// hold it for longer than a copy from the socket takes; wait() sleeps without it. Many servers accept a
// single client (qemu-nbd without --shared), so one connection has to serve both uses.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "base/unique_fd.h"

struct nbd_handle;

namespace ashlar {

class NbdConnection {
 public:
  struct Arrival {
    std::uint64_t cookie = 0;
    int error_number = 0;
  };
  // A piece of the export's status in one meta context, cut where the server cuts it.
  struct StatusPiece {
    ByteCount bytes;
    std::uint32_t flags = 0;
  };

  // Connects and requests `contexts`; has_context() returns which of them the server granted.
  static Result<std::shared_ptr<NbdConnection>> open(const std::string& uri,
                                                     const std::vector<std::string>& contexts);
  ~NbdConnection();
  NbdConnection(const NbdConnection&) = delete;
  NbdConnection& operator=(const NbdConnection&) = delete;

  const std::string& uri() const { return uri_; }
  ByteCount size() const { return size_; }
  // Returns the largest size of one read in bytes, a multiple of 4096.
  std::size_t read_limit() const { return read_limit_; }
  bool has_context(const std::string& context);

  // Returns consecutive pieces from `offset` on: at least one, and none past the end of the export.
  Result<std::vector<StatusPiece>> block_status(const std::string& context, ByteOffset offset);

  // Starts a read. Its result arrives once, under `cookie`.
  Status start_read(std::uint64_t cookie, ByteOffset offset, MutableByteSpan out);
  // Sleeps until a result has arrived, or returns an error when the connection is lost. May return early.
  Status wait();
  // Makes a wait() in progress notice that there are requests to send.
  Status nudge();
  std::vector<Arrival> take_arrivals();
  // Drops the connection and all reads in flight: their memory is not written again and no results arrive for
  // them.
  void close();
  // Ends the connection, even during a call that waits for the server; takes no lock, so it never waits.
  void abandon() const;

 private:
  explicit NbdConnection(std::string uri) : uri_(std::move(uri)) {}
  Status connect(const std::vector<std::string>& contexts);
  Status measure();
  Error error(std::string_view doing) const;
  void arrived(std::uint64_t cookie, int error_number);
  void wake() const;

  std::string uri_;
  ByteCount size_;
  std::size_t read_limit_ = 0;
  UniqueFd socket_;  // a duplicate of libnbd's descriptor, valid even after the handle is closed
  UniqueFd wake_;    // an eventfd that ends a poll() in wait()
  std::mutex mutex_;
  nbd_handle* handle_ = nullptr;
  std::vector<Arrival> arrivals_;
  bool sleeping_ = false;  // a thread is in wait()'s poll()
};

}  // namespace ashlar
