// TlsStream: the server's side of TLS over memory, as a state machine without I/O. Internal to the module.
//
// Records of the client go in with record_space() and records_received(), records for the client come out
// with records() and records_sent(); plain bytes pass by read() and write(). Any failure is final, and so is
// an end of records without the client's closing alert. One thread.
#pragma once

#include <gnutls/gnutls.h>

#include <memory>

#include "serve/tls_credentials.h"

namespace ashlar {

class TlsStream {
 public:
  // Makes a stream. Fails when memory or the system's random numbers do.
  static Result<std::unique_ptr<TlsStream>> make(std::shared_ptr<const TlsCredentials> credentials);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Returns where the client's next records go; empty while earlier ones are not processed. The space stays
  // in place until records_received().
  MutableByteSpan record_space();
  void records_received(std::size_t bytes);
  // Notes that the client's side of the socket has ended.
  void records_ended() { records_ended_ = true; }

  // Returns records for the client, which stay in place until records_sent() counts them off.
  ByteSpan records();
  void records_sent(std::size_t bytes);

  // Continues the handshake as far as the received records allow.
  void handshake();
  bool ready() const { return state_ == State::kReady; }
  bool failed() const { return state_ == State::kFailed; }
  // Returns whether the client's closing alert was read.
  bool closed() const { return closed_; }

  // Reads plain bytes of the client when ready, as many as there are and fit; returns 0 when there are none.
  std::size_t read(MutableByteSpan out);
  // Takes at most one record of plain bytes when ready, and returns how many. Only while wants_plain().
  std::size_t write(ByteSpan plain);
  bool wants_plain() const { return ready() && !closing_ && filling_.size() < kMaxWaitingBytes; }
  // Sends the closing alert, after the last write().
  void close();

  // The most bytes that one record carries.
  static constexpr std::size_t kRecordBytes = 16384;

 private:
  enum class State { kHandshake, kReady, kFailed };
  static constexpr std::size_t kSpaceBytes = std::size_t{64} << 10U;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{256} << 10U;

  explicit TlsStream(std::shared_ptr<const TlsCredentials> credentials)
      : credentials_(std::move(credentials)),
        space_(std::make_unique_for_overwrite<std::byte[]>(kSpaceBytes)) {}
  bool goes_on(int code) const;
  void fail(int code);
  static ssize_t pull(gnutls_transport_ptr_t self, void* out, std::size_t bytes);
  static ssize_t push(gnutls_transport_ptr_t self, const void* in, std::size_t bytes);
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned milliseconds);

  const std::shared_ptr<const TlsCredentials> credentials_;
  gnutls_session_t session_ = nullptr;
  State state_ = State::kHandshake;
  bool closed_ = false;
  bool closing_ = false;

  std::unique_ptr<std::byte[]> space_;  // received records; not pulled yet from begin_ to end_
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool records_ended_ = false;
  bool hungry_ = true;  // all received records are processed

  ByteVector sending_;  // the driver sends these, from sent_ on
  std::size_t sent_ = 0;
  ByteVector filling_;
};

}  // namespace ashlar
