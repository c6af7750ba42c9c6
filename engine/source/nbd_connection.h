// NbdConnection: one connection to an NBD server through libnbd, for calls that wait and for many reads in
// flight.
//
// Any thread may call. A lock of its own guards the handle, and no call but those that wait for the server
// (block_status) holds it for longer than a copy out of the socket; wait() sleeps without it. A server with
// room for a single client is common (qemu-nbd without --shared), so one connection has to serve both uses.
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
  // A piece of the export's status in one meta context, as the server cuts it.
  struct StatusPiece {
    ByteCount bytes;
    std::uint32_t flags = 0;
  };

  // Asks for `contexts`; has_context() tells which the server gave.
  static Result<std::shared_ptr<NbdConnection>> open(const std::string& uri,
                                                     const std::vector<std::string>& contexts);
  ~NbdConnection();
  NbdConnection(const NbdConnection&) = delete;
  NbdConnection& operator=(const NbdConnection&) = delete;

  const std::string& uri() const { return uri_; }
  ByteCount size() const { return size_; }
  // The most bytes of one read: a multiple of 4096.
  std::size_t read_limit() const { return read_limit_; }
  bool has_context(const std::string& context);

  // The pieces that follow each other from `offset` on: at least one, not beyond the end of the export.
  Result<std::vector<StatusPiece>> block_status(const std::string& context, ByteOffset offset);

  // Starts a read. Its outcome arrives under `cookie`, once.
  Status start_read(std::uint64_t cookie, ByteOffset offset, MutableByteSpan out);
  // Sleeps until something arrived or the connection is lost (an error). May return early.
  Status wait();
  // Lets a wait() in progress see that there is something to send.
  Status nudge();
  std::vector<Arrival> take_arrivals();
  // Drops the connection and every read in flight: their memory is not touched again and nothing arrives for
  // them.
  void close();
  // Ends the conversation, also under a call that waits for the server; takes no lock, so that it never
  // waits.
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
  UniqueFd socket_;  // a second descriptor of libnbd's: stays ours whatever becomes of the handle
  UniqueFd wake_;    // an eventfd that ends a poll() in wait()
  std::mutex mutex_;
  nbd_handle* handle_ = nullptr;
  std::vector<Arrival> arrivals_;
  bool sleeping_ = false;  // somebody is in wait()'s poll()
};

}  // namespace ashlar
