#include "serve/tls_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ashlar {

Result<std::unique_ptr<TlsStream>> TlsStream::make(std::shared_ptr<const TlsCredentials> credentials) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(credentials)));
  // Tickets would let a client resume a session; connections of this protocol last, so they are not needed.
  int code = gnutls_init(&stream->session_, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
  if (code >= 0) code = stream->credentials_->apply(stream->session_);
  if (code < 0) return Error(ErrorCode::kIo, std::string("a TLS session: ") + gnutls_strerror(code));
  gnutls_transport_set_ptr(stream->session_, stream.get());
  gnutls_transport_set_pull_function(stream->session_, pull);
  gnutls_transport_set_push_function(stream->session_, push);
  gnutls_transport_set_pull_timeout_function(stream->session_, pull_timeout);
  return stream;
}

TlsStream::~TlsStream() {
  if (session_ != nullptr) gnutls_deinit(session_);
}

MutableByteSpan TlsStream::record_space() {
  if (failed() || closed_ || records_ended_ || !hungry_) return {};
  CHECK(begin_ == end_);
  begin_ = end_ = 0;
  return {space_.get(), kSpaceBytes};
}

void TlsStream::records_received(std::size_t bytes) {
  end_ += bytes;
  hungry_ = false;
}

ByteSpan TlsStream::records() {
  if (sent_ == sending_.size()) {
    sending_.clear();
    sent_ = 0;
    sending_.swap(filling_);
  }
  return ByteSpan(sending_).subspan(sent_);
}

void TlsStream::records_sent(std::size_t bytes) {
  sent_ += bytes;
  CHECK(sent_ <= sending_.size());
}

void TlsStream::handshake() {
  if (state_ != State::kHandshake) return;
  int code = gnutls_handshake(session_);
  while (goes_on(code)) code = gnutls_handshake(session_);
  if (code == GNUTLS_E_AGAIN) {
    hungry_ = true;
  } else if (code < 0) {
    fail(code);
  } else {
    state_ = State::kReady;
  }
}

std::size_t TlsStream::read(MutableByteSpan out) {
  std::size_t have = 0;
  while (ready() && !closed_ && have < out.size()) {
    const ssize_t got = gnutls_record_recv(session_, out.data() + have, out.size() - have);
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (got == 0) {
      closed_ = true;
    } else if (got == GNUTLS_E_REHANDSHAKE) {
      fail(GNUTLS_E_UNEXPECTED_PACKET);  // renegotiation of TLS 1.2; TLS 1.3 changes its keys by itself
    } else if (!goes_on(static_cast<int>(got))) {
      hungry_ = got == GNUTLS_E_AGAIN;
      if (!hungry_) fail(static_cast<int>(got));
      break;
    }
  }
  return have;
}

// Returns whether a call that made no progress is to be repeated: after a warning of the client, and after a
// message of TLS itself such as new keys, for which GnuTLS returns E_AGAIN too. The number of received
// records is finite, so the repetition ends.
bool TlsStream::goes_on(int code) const {
  if (code == GNUTLS_E_AGAIN) return begin_ < end_;
  return code < 0 && gnutls_error_is_fatal(code) == 0;
}

std::size_t TlsStream::write(ByteSpan plain) {
  const ssize_t taken =
      gnutls_record_send(session_, plain.data(), std::min<std::size_t>(plain.size(), kRecordBytes));
  if (taken >= 0) return static_cast<std::size_t>(taken);
  fail(static_cast<int>(taken));
  return 0;
}

void TlsStream::close() {
  if (!ready() || closing_) return;
  closing_ = true;
  gnutls_bye(session_, GNUTLS_SHUT_WR);
}

void TlsStream::fail(int code) {
  state_ = State::kFailed;
  // Tells the client what was wrong, if there is an alert for it.
  if (code != GNUTLS_E_PREMATURE_TERMINATION) gnutls_alert_send_appropriate(session_, code);
}

ssize_t TlsStream::pull(gnutls_transport_ptr_t self, void* out, std::size_t bytes) {
  auto& stream = *static_cast<TlsStream*>(self);
  const std::size_t taken = std::min(bytes, stream.end_ - stream.begin_);
  if (taken == 0 && !stream.records_ended_) {
    gnutls_transport_set_errno(stream.session_, EAGAIN);
    return -1;
  }
  std::memcpy(out, stream.space_.get() + stream.begin_, taken);
  stream.begin_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t TlsStream::push(gnutls_transport_ptr_t self, const void* in, std::size_t bytes) {
  auto& filling = static_cast<TlsStream*>(self)->filling_;
  const auto* begin = static_cast<const std::byte*>(in);
  filling.insert(filling.end(), begin, begin + bytes);
  return static_cast<ssize_t>(bytes);
}

int TlsStream::pull_timeout(gnutls_transport_ptr_t self, unsigned /*milliseconds*/) {
  const auto& stream = *static_cast<TlsStream*>(self);
  return stream.begin_ < stream.end_ || stream.records_ended_ ? 1 : 0;
}

}  // namespace ashlar
