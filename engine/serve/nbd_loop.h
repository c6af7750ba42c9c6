// NbdLoop: drives connections on one io_uring, on the thread that calls run(). The first of a server's loops
// also accepts them, for all loops. Internal to the module.
//
// A connection has at most one receive and one send in the kernel. It is destroyed when both have returned,
// its session has no request in the export, and it is finished or lost. The loop waits for the ring only.
#pragma once

#include <liburing.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "serve/nbd_channel.h"
#include "serve/nbd_listener.h"

namespace ashlar {

class NbdLoop {
 public:
  // Takes a client that was accepted; returns false when the limit of connections is reached.
  using Admit = std::function<bool(UniqueFd)>;

  // Makes a loop. All arguments outlive it.
  static Result<std::unique_ptr<NbdLoop>> make(ExportList& exports, const NbdLimits& limits,
                                               NbdBudget& budget, std::shared_ptr<const TlsCredentials> tls);
  ~NbdLoop();
  NbdLoop(const NbdLoop&) = delete;
  NbdLoop& operator=(const NbdLoop&) = delete;

  // Makes this loop accept clients, and call `admit` on its thread. Called before run().
  void accept_from(const NbdListener& listener, Admit admit);
  // Gives a client to this loop, from any thread. A client that comes after stop() is closed.
  void give(UniqueFd client);
  // Closes clients that were given too late. Called after run().
  void let_given_go();
  // Returns how many clients were given and are not gone yet. Any thread.
  std::size_t load() const { return load_.load(); }
  const NbdCounters& counters() const { return counters_; }

  // Runs until stop() was called, every request is answered, and every client is gone or was closed.
  void run();
  // Asks run() to end. Any thread.
  void stop();

 private:
  struct Connection;
  enum class Event : std::uint64_t { kAccept, kWake, kTick, kCancel, kReceive, kSend };

  NbdLoop(ExportList& exports, const NbdLimits& limits, NbdBudget& budget,
          std::shared_ptr<const TlsCredentials> tls);
  Status start_ring();
  io_uring_sqe* sqe(Event event, Connection* connection = nullptr);
  void turn();
  void handle(std::uint64_t tag, int result);
  bool drained() const;

  void arm_accept();
  void arm_wake();
  void arm_tick();
  void accepted(int result);
  void take_given();
  void adopt(UniqueFd client);
  void tick();
  bool is_stalled(Connection& connection, double now);
  void set_barred(Connection& connection, bool barred);
  void begin_stop();

  void deliver();
  void received(Connection& connection, int result);
  void was_sent(Connection& connection, int result);
  void pump(Connection& connection);
  void arm_send(Connection& connection);
  void arm_receive(Connection& connection);
  void lose(Connection& connection);
  void destroy(Connection& connection);

  ExportList& exports_;
  const NbdLimits& limits_;
  NbdCounters counters_;
  const std::shared_ptr<const TlsCredentials> tls_;
  io_uring ring_{};
  bool ring_ready_ = false;
  UniqueFd wake_;  // an eventfd
  std::atomic<bool> stop_wanted_ = false;

  std::mutex given_mutex_;
  std::vector<UniqueFd> given_;
  std::atomic<bool> some_given_ = false;
  std::atomic<std::size_t> load_ = 0;

  const NbdListener* listener_ = nullptr;
  Admit admit_;
  bool stopping_ = false;
  double drain_until_ = 0;
  bool accepting_ = false;  // an accept is in the kernel
  bool ticking_ = false;
  __kernel_timespec tick_time_{};
  std::size_t handshaking_ = 0;
  std::size_t barred_ = 0;

  BufferPool buffers_;
  NbdSession::Shared shared_;
  std::vector<NbdRequest*> returned_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace ashlar
