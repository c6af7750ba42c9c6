// NbdSession: one connection from its greeting to its end, as a state machine without I/O: the handshake,
// then the transmission.
//
// The driver does three things, in any order: it receives bytes into input_space() and calls received(); it
// sends the bytes of output() and calls sent(); it hands requests that NbdCompletions returned to complete().
// Once wants_tls() is true, bytes from and to the client go through TLS; see nbd_channel.h. The driver may
// close the connection when finished(), and destroy the session when in_flight() is 0 as well. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "serve/nbd_handshake.h"
#include "serve/nbd_transmission.h"

namespace ashlar {

class NbdSession {
 public:
  using Shared = NbdTransmission::Shared;

  // Makes the session of a new connection. `driver` and `is_cut_off`: see NbdTransmission.
  NbdSession(ExportList& exports, Shared& shared, void* driver = nullptr,
             std::function<bool()> is_cut_off = {});
  ~NbdSession();

  // Returns where the next bytes of the client go; empty while no input is wanted. The space stays in place
  // until the next received() or input_space(). In the handshake no input is wanted before the client has
  // taken its answers.
  MutableByteSpan input_space();
  void received(std::size_t bytes);
  // Ends the input: the client sends no more, or its input is not wanted. Requests taken before are answered.
  void end_input();

  // Returns whether the client asked for TLS and has its answer: it speaks TLS from its next byte on. No
  // input is wanted until secured().
  bool wants_tls() const;
  void secured() { handshake_.secured(); }

  void complete(NbdRequest* request);

  std::size_t output(std::span<ByteSpan> out) const;
  void sent(std::size_t bytes);
  // Forgets all output: the client is gone.
  void drop_output();

  bool handshaking() const { return !transmission_; }
  std::size_t in_flight() const { return transmission_ ? transmission_->in_flight() : 0; }
  std::size_t outstanding_bytes() const { return transmission_ ? transmission_->outstanding_bytes() : 0; }
  bool is_barred() const { return transmission_ && transmission_->is_barred(); }
  // Processes the input received so far; called from time to time while is_barred().
  void retry() { advance(); }
  bool wants_payload() const { return transmission_ && transmission_->wants_payload(); }
  void drop_payload() {
    if (transmission_) transmission_->drop_payload();
  }
  bool holds_common() const { return transmission_ && transmission_->holds_common(); }
  bool input_ended() const;
  // Returns whether no more input is taken, no request is in the export, and all output is sent.
  bool finished() const;

 private:
  void advance();
  bool advance_handshake();
  bool handshake_answered() const { return handshake_sent_ == handshake_out_.size(); }
  ByteSpan window() const { return ByteSpan(input_.get() + begin_, end_ - begin_); }

  Shared& shared_;
  void* const driver_;
  const std::function<bool()> is_cut_off_;
  NbdHandshake handshake_;
  std::optional<NbdTransmission> transmission_;
  bool ended_ = false;

  std::unique_ptr<std::byte[]> input_;  // received; not taken yet from begin_ to end_
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool in_place_ = false;  // the last input_space() was part of a payload's buffer

  ByteVector handshake_out_;
  std::size_t handshake_sent_ = 0;
};

}  // namespace ashlar
