#include "serve/nbd_session.h"

#include <cstring>

namespace ashlar {
namespace {

constexpr std::size_t kInputBytes = nbd::kOptionHeadBytes + nbd::kMaxOptionBytes + 4096;

}  // namespace

NbdSession::NbdSession(ExportList& exports, Shared& shared, void* driver, std::function<bool()> is_cut_off)
    : shared_(shared),
      driver_(driver),
      is_cut_off_(std::move(is_cut_off)),
      handshake_(exports, shared.limits,
                 shared.tls_required ? NbdHandshake::Tls::kRequired : NbdHandshake::Tls::kOff),
      input_(std::make_unique_for_overwrite<std::byte[]>(kInputBytes)),
      handshake_out_(handshake_.take_output()) {}

NbdSession::~NbdSession() = default;

bool NbdSession::wants_tls() const {
  return !ended_ && handshake_answered() && handshake_.outcome() == NbdHandshake::Outcome::kStartTls;
}

bool NbdSession::input_ended() const { return ended_ || (transmission_ && transmission_->input_ended()); }

MutableByteSpan NbdSession::input_space() {
  in_place_ = false;
  if (input_ended()) return {};
  if (transmission_) {
    const MutableByteSpan payload = transmission_->payload_space();
    in_place_ = !payload.empty();
    if (in_place_) return payload;
    if (!transmission_->wants_input()) return {};
  } else if (!handshake_answered() || handshake_.outcome() == NbdHandshake::Outcome::kStartTls) {
    return {};
  }
  // The rest of the window is short, a part of a header or of an option, so the move costs little.
  if (begin_ > 0) std::memmove(input_.get(), input_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  return {input_.get() + end_, kInputBytes - end_};
}

void NbdSession::received(std::size_t bytes) {
  if (input_ended()) return;
  if (in_place_) {
    transmission_->payload_received(bytes);
  } else {
    end_ += bytes;
  }
  advance();
}

void NbdSession::end_input() {
  ended_ = true;
  if (transmission_) transmission_->end_input();
}

void NbdSession::complete(NbdRequest* request) {
  transmission_->complete(request);
  // The rest of the window may have waited for this request.
  if (begin_ != end_) advance();
}

// Processes the bytes in the window, as far as the limits allow.
void NbdSession::advance() {
  while (!transmission_ && !ended_ && advance_handshake()) {
  }
  if (transmission_ && !ended_) begin_ += transmission_->consume(window());
}

// Processes one message, but only when the client has taken the answers to the messages before: so a client
// that asks for a list of many exports many times can't make answers pile up.
bool NbdSession::advance_handshake() {
  if (!handshake_answered()) return false;
  const std::size_t taken = handshake_.consume(window());
  begin_ += taken;
  handshake_out_ = handshake_.take_output();
  handshake_sent_ = 0;
  // Bytes that came together with STARTTLS are not protected: an attacker between client and server may have
  // put them there, to have them taken for the client's words under TLS.
  if (handshake_.outcome() == NbdHandshake::Outcome::kStartTls && begin_ != end_) drop_output();
  if (handshake_.outcome() == NbdHandshake::Outcome::kClose) ended_ = true;
  if (handshake_.outcome() == NbdHandshake::Outcome::kTransmission)
    transmission_.emplace(handshake_.take_negotiated(), shared_, driver_, is_cut_off_);
  return taken > 0;
}

std::size_t NbdSession::output(std::span<ByteSpan> out) const {
  if (out.empty()) return 0;
  if (handshake_sent_ < handshake_out_.size()) {
    out[0] = ByteSpan(handshake_out_).subspan(handshake_sent_);
    return 1;
  }
  return transmission_ ? transmission_->output(out) : 0;
}

void NbdSession::sent(std::size_t bytes) {
  if (handshake_sent_ < handshake_out_.size()) {
    handshake_sent_ += bytes;
    CHECK(handshake_sent_ <= handshake_out_.size());
  } else if (transmission_) {
    transmission_->sent(bytes);
  }
  advance();
}

void NbdSession::drop_output() {
  end_input();
  handshake_sent_ = handshake_out_.size();
  if (transmission_) transmission_->drop_output();
}

bool NbdSession::finished() const {
  const bool all_sent = handshake_answered() && (!transmission_ || !transmission_->has_output());
  return input_ended() && in_flight() == 0 && all_sent;
}

}  // namespace ashlar
