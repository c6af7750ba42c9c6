// NbdTransmission: the phase of requests and replies of one connection, without I/O. Internal to the module.
//
// The steps of a request: it is taken off the input, (held back while memory is short,) its payload is
// received, it is in the export, (flushed, when it asked for FUA,) its reply is queued, its reply is sent.
// Requests are in the export all at once, and are answered in the order in which they return. They return
// through NbdCompletions; its owner calls complete().
//
// Input that breaks the protocol ends the input; requests taken before are still answered. One thread, except
// that an export completes requests on its own threads. in_flight() has to be 0 at its destruction.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>

#include "serve/buffer_pool.h"
#include "serve/nbd_budget.h"
#include "serve/nbd_completions.h"
#include "serve/nbd_counters.h"
#include "serve/nbd_handshake.h"
#include "serve/nbd_reply.h"

namespace ashlar {

class NbdTransmission {
 public:
  // The parts that all connections of a loop share. They outlive the connections.
  struct Shared {
    const NbdLimits& limits;
    NbdCounters& counters;
    BufferPool& buffers;
    NbdBudget& budget;
    std::shared_ptr<NbdCompletions> completions;
    bool tls_required = false;  // if unset STARTTLS is refused, if set all other options are until TLS is on
  };

  // Begins the transmission phase. `driver` belongs to the driver of the connection, which finds itself from
  // a request by driver(). `is_cut_off` returns whether the client is gone although its input may still be
  // there; when it is empty, that is unknown.
  NbdTransmission(NbdNegotiated negotiated, Shared& shared, void* driver,
                  std::function<bool()> is_cut_off = {});
  ~NbdTransmission();
  NbdTransmission(const NbdTransmission&) = delete;
  NbdTransmission& operator=(const NbdTransmission&) = delete;

  // Takes requests and payload off the front of `in`; returns how many bytes. Takes less than all of `in`
  // when a header is not complete, when limits are reached, or when the input has ended.
  std::size_t consume(ByteSpan in);
  // Returns space for the rest of a payload that is better received in place than through consume(); empty
  // when there is none.
  MutableByteSpan payload_space() const;
  void payload_received(std::size_t bytes);
  // Returns whether changes of other connections that were begun before this connection are not done yet: no
  // request is taken until they are. The driver asks from time to time.
  bool is_barred() const { return barred_by_ && !export_.changes().done_up_to(*barred_by_); }
  // Returns whether the payload of a WRITE is being received.
  bool wants_payload() const { return payload_ != nullptr; }
  // Forgets a payload that is not complete: the client is gone, and no receive is in progress.
  void drop_payload();

  // Returns whether the next bytes of the client are wanted: false while limits are reached, and for good
  // once the input has ended.
  bool wants_input() const;
  bool input_ended() const { return ended_; }
  void end_input() { ended_ = true; }

  void* driver() const { return driver_; }
  // Continues a request that NbdCompletions returned.
  void complete(NbdRequest* request);

  // Fills `out` with the next bytes for the client and returns how many spans. The bytes stay in place until
  // sent() counts them off.
  std::size_t output(std::span<ByteSpan> out) const;
  void sent(std::size_t bytes);
  // Forgets replies, queued and to come: the client is gone. No send may be in progress.
  void drop_output();

  std::size_t in_flight() const { return in_flight_; }
  std::size_t outstanding_bytes() const { return outstanding_bytes_; }
  bool has_output() const { return !replies_.empty(); }
  // Returns whether bytes of the common half of the budget are held for what the client has yet to send or
  // take.
  bool holds_common() const;

 private:
  using Owned = std::unique_ptr<NbdRequest>;

  std::size_t take_payload(ByteSpan in);
  void start(const nbd::Request& wire);
  void start_write(Owned request);
  nbd::Errno check(const nbd::Request& wire) const;
  nbd::Errno check_range(const nbd::Request& wire) const;
  bool fast_zero(const nbd::Request& wire) const;

  static std::size_t buffer_bytes(const NbdRequest& request);
  static std::size_t cost(const NbdRequest& request);
  bool admit(NbdRequest& request);
  void go_on(Owned request);
  void submit(Owned request);
  void submit_range(NbdRequest* request);
  bool comes_too_late() const;
  void finish(NbdRequest* request, Status status);

  void reply(Owned request);
  void count(const nbd::Request& wire);
  void release(Owned request);

  const NbdNegotiated negotiated_;
  Shared& shared_;
  void* const driver_;
  Export& export_;
  const std::function<bool()> is_cut_off_;
  const std::uint64_t number_;  // number of the connection among those of its export

  const std::optional<ChangesInFlight::Ticket> barred_by_;
  NbdRequest* held_back_ = nullptr;  // waits in the budget; the input waits as well
  Owned payload_;                    // a WRITE whose payload is being received
  std::size_t payload_bytes_ = 0;
  std::size_t skip_bytes_ = 0;  // payload bytes of a refused WRITE that are still to be skipped
  bool ended_ = false;
  bool client_gone_ = false;

  std::deque<Owned> replies_;
  std::size_t front_sent_ = 0;  // bytes of the first reply
  std::size_t in_flight_ = 0;
  std::size_t requests_ = 0;  // taken, and not answered to the last byte
  std::size_t outstanding_bytes_ = 0;
  std::size_t share_used_ = 0;  // part in use of the connection's share of the budget
};

}  // namespace ashlar
